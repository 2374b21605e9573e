"""The LSTM, the GRU and Elman's network against ``torch.nn``, and the weights both ways."""

import pytest
import torch
from torch import nn

from recurra.cells import GRU, IRNN, LSTM, Elman, Jordan, OriginalLSTM, PeepholeLSTM, from_torch, to_torch
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import randomised

MODULES = {
    "lstm": (nn.LSTM, nn.LSTMCell, {}),
    "gru": (nn.GRU, nn.GRUCell, {}),
    "tanh": (nn.RNN, nn.RNNCell, {"nonlinearity": "tanh"}),
    "relu": (nn.RNN, nn.RNNCell, {"nonlinearity": "relu"}),
}
CONVERTIBLE = {
    "lstm": LSTM,
    "gru": GRU,
    "tanh": Elman,
    "relu": lambda *sizes: Elman(*sizes, activation="relu"),
    "irnn": IRNN,
}


def close(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", MODULES)
def test_a_stack_in_both_directions_computes_what_torch_does(name, bias):
    layer, _, options = MODULES[name]
    options = {**options, "bias": bias, "batch_first": True, "dtype": torch.float64}
    peer = layer(3, 5, num_layers=2, bidirectional=True, **options)
    x = torch.randn(2, 20, 3, dtype=torch.float64)
    want, last = peer(x)
    below = x
    for k in range(2):
        forward, _ = Recurrent(from_torch(peer, k))(below)
        backward, state = Recurrent(from_torch(peer, k, reverse=True))(below.flip(1))
        below = torch.cat([forward, backward.flip(1)], dim=-1)
    close(below, want)
    for ours, theirs in zip(state, last if name == "lstm" else [last], strict=True):
        close(ours, theirs[-1])


@pytest.mark.parametrize("name", MODULES)
def test_a_cell_of_torch_computes_the_same(name):
    _, cell, options = MODULES[name]
    peer = cell(3, 5, dtype=torch.float64, **options)
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    close(Recurrent(from_torch(peer))(x)[0], Recurrent(peer)(x)[0])


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_to_torch_computes_the_same_and_back_is_exact(name):
    cell = randomised(CONVERTIBLE[name](3, 5))
    peer = to_torch(cell)
    x = torch.randn(2, 20, 3, dtype=torch.float64)
    close(peer(x)[0], Recurrent(cell)(x)[0])
    back = from_torch(peer).state_dict()
    assert back.keys() == cell.state_dict().keys()
    for key, weight in cell.state_dict().items():
        assert torch.equal(back[key], weight), key


@pytest.mark.parametrize("name", MODULES)
def test_from_torch_and_back_keeps_weights_and_the_sum_of_biases_exactly(name):
    layer, _, options = MODULES[name]
    peer = layer(3, 5, **options)
    back = to_torch(from_torch(peer))
    assert torch.equal(back.weight_ih_l0, peer.weight_ih_l0) and torch.equal(back.weight_hh_l0, peer.weight_hh_l0)
    assert torch.equal(back.bias_ih_l0 + back.bias_hh_l0, peer.bias_ih_l0 + peer.bias_hh_l0)
    if name == "gru":
        assert torch.equal(back.bias_hh_l0[-5:], peer.bias_hh_l0[-5:])


def test_the_weights_are_a_copy():
    peer = nn.LSTM(3, 5)
    cell = from_torch(peer)
    nn.init.zeros_(peer.weight_ih_l0)
    assert cell.i.W_x.all() and all(weight.requires_grad for weight in cell.parameters())
    module = to_torch(cell)
    nn.init.zeros_(cell.g.W_x)
    assert module.weight_ih_l0.all() and all(weight.requires_grad for weight in module.parameters())


@pytest.mark.parametrize(
    ("module", "asked", "error"),
    [
        (nn.LSTM(2, 3), {"layer": 1}, "LSTM has no layer 1 that runs forwards"),
        (nn.GRU(2, 3), {"reverse": True}, "GRU has no layer 0 that runs backwards"),
        (nn.RNNCell(2, 3), {"layer": 1}, "RNNCell has no layer 1"),
    ],
    ids=["layer", "direction", "cell"],
)
def test_weights_that_are_not_there_are_refused(module, asked, error):
    with pytest.raises(ValueError, match=error):
        from_torch(module, **asked)


def test_what_has_no_counterpart_is_refused():
    with pytest.raises(TypeError, match="counterpart of Linear"):
        from_torch(nn.Linear(2, 3))
    for cell in (Jordan(2, 3), OriginalLSTM(2, 3), PeepholeLSTM(2, 3)):
        with pytest.raises(TypeError, match=f"counterpart of {type(cell).__name__}"):
            to_torch(cell)
    with pytest.raises(ValueError, match="resets after"):
        to_torch(GRU(2, 3, reset="before"))
    with pytest.raises(ValueError, match="not sigmoid"):
        to_torch(Elman(2, 3, activation="sigmoid"))
