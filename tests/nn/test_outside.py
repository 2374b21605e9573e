"""Calls that are torch's to answer: mistakes, with its own errors, and what it computes where we do not."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import recurra
from recurra.recurrence.state import map_state, tensors
from tests.nn.helpers import B, F, H, T, close, pair, results, sequences, state
from tests.processor import multiplies_bfloat16

KINDS = ("lstm", "gru", "tanh")


def packed(features=F, dtype=torch.float64, lengths=(2, 6, 1, 4)):
    x = torch.zeros(T, B, features, dtype=dtype)
    return pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)


def zeros(layer, *shape, dtype=torch.float64, device="cpu"):
    leaf = torch.zeros(*shape, dtype=dtype, device=device)
    return (leaf, leaf) if layer.mode == "LSTM" else leaf


X = torch.zeros(T, B, F, dtype=torch.float64)
MISTAKES = {
    "one dimension": lambda layer: (X[0, 0],),
    "four dimensions": lambda layer: (X.unsqueeze(3),),
    "features": lambda layer: (X[:, :, :2],),
    "features, unbatched": lambda layer: (X[:, 0, :2],),
    "features, packed": lambda layer: (packed(2),),
    "values with dimensions, packed": lambda layer: (packed()._replace(data=torch.zeros(13, 1, F, dtype=X.dtype)),),
    "no steps": lambda layer: (X[:0],),
    "no steps, no rows": lambda layer: (X[:0, :0],),
    "float": lambda layer: (X.float(),),
    "float, packed": lambda layer: (packed(dtype=torch.float32),),
    "integers": lambda layer: (X.long(),),
    "device": lambda layer: (X.to("meta"),),
    "nothing": lambda layer: (None,),
    "a list": lambda layer: (X.tolist(),),
    "hx without rows": lambda layer: (X, zeros(layer, 2, H)),
    "hx with rows, unbatched": lambda layer: (X[:, 0], zeros(layer, 2, 1, H)),
    "hx's rows": lambda layer: (X, zeros(layer, 2, 3, H)),
    "hx's features": lambda layer: (X, zeros(layer, 2, B, 4)),
    "hx's layers": lambda layer: (X, zeros(layer, 1, B, H)),
    "hx's layers, unbatched": lambda layer: (X[:, 0], zeros(layer, 1, H)),
    "hx's type": lambda layer: (X, zeros(layer, 2, B, H, dtype=torch.float32)),
    "hx's device": lambda layer: (X, zeros(layer, 2, B, H, device="meta")),
    "hx's rows, packed": lambda layer: (packed(), zeros(layer, 2, 3, H)),
    "hx's rows, sorted": lambda layer: (packed(lengths=(6, 4, 2, 1)), zeros(layer, 2, 3, H)),
    "hx's features, packed": lambda layer: (packed(), zeros(layer, 2, B, 4)),
    "hx's layers, packed": lambda layer: (packed(), zeros(layer, 3, B, H)),
    "hx's dimensions, packed": lambda layer: (packed(), zeros(layer, 2, H)),
    "hx's type, packed": lambda layer: (packed(), zeros(layer, 2, B, H, dtype=torch.float32)),
    "hx is another layer's": lambda layer: (X, X if layer.mode == "LSTM" else (X, X)),
    "one state": lambda layer: (X, (zeros(layer, 2, B, H)[0],)),
    "three states": lambda layer: (X, (*zeros(layer, 2, B, H), zeros(layer, 2, B, H)[0])),
    "a number for hx": lambda layer: (X, 1),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("kind", KINDS)
def test_mistakes_raise_torchs_own_errors(kind, mistake):
    theirs, ours = pair(kind, num_layers=2)
    arguments = MISTAKES[mistake](theirs)
    with pytest.raises(Exception) as want:  # noqa: B017, PT011
        theirs(*arguments)
    with pytest.raises(want.type) as got:
        ours(*arguments)
    assert got.type is want.type and str(got.value) == str(want.value)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_wrong_arguments_raise_torchs_own_errors(kind):
    ours = getattr(recurra.nn, kind.__name__)
    for bad in ({"hidden_size": 0}, {"num_layers": 0}, {"dropout": 2}, {"bias": 1}, {"proj_size": H}, {"wrong": 1}):
        arguments = {"input_size": F, "hidden_size": H, **bad}
        with pytest.raises((ValueError, TypeError)) as want:
            kind(**arguments)
        with pytest.raises(want.type) as got:
            ours(**arguments)
        assert str(got.value) == str(want.value)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind):
    theirs, ours = pair(kind, num_layers=2, bidirectional=True)
    assert [leaf.shape for leaf in results(ours, X[:, :0])] == [leaf.shape for leaf in results(theirs, X[:, :0])]


@multiplies_bfloat16
@pytest.mark.parametrize("kind", KINDS)
def test_autocast_gives_torchs_types(kind):
    theirs, ours = pair(kind, dtype=torch.float32)
    x, hx = (map_state(torch.Tensor.detach, t) for t in (sequences(ours)[0].float(), state(ours, dtype=torch.float32)))
    exact = results(theirs, x, hx)
    for given in ((x, hx), (x, None), (x.bfloat16(), map_state(torch.Tensor.bfloat16, hx)), (x.bfloat16(), None)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got, want = results(ours, *given), results(theirs, *given)
        assert [leaf.dtype for leaf in got] == [leaf.dtype for leaf in want]
        if given[1] is not None:  # to the eight bits of results and operands
            assert all(
                torch.allclose(leaf.float(), one, rtol=0, atol=2**-6) for leaf, one in zip(got, exact, strict=True)
            )


@pytest.mark.parametrize("kind", KINDS)
def test_other_devices_have_torchs_kernels(kind, monkeypatch):
    _, ours = pair(kind, device="meta")
    monkeypatch.setattr(recurra.Recurrent, "forward", None)
    assert {leaf.device.type for leaf in results(ours, X.to("meta"))} == {"meta"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_hx_of_more_rows_with_an_unsorted_batch_is_read_as_torch_reads_it(kind):
    theirs, ours = pair(kind)
    x, input = sequences(theirs, "unsorted")
    hx = map_state(lambda leaf: torch.cat([leaf, leaf], dim=1).detach(), state(theirs))
    assert next(tensors(hx)).shape[1] > B
    close(results(ours, input, hx), results(theirs, input, hx))
