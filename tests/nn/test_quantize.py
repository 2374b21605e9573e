"""Models before and after ``quantize``: what it changes, what it says, and how far results move."""

import copy
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import recurra
from recurra.cells import LSTM
from recurra.layers import Bidirectional, Recurrent, Stack
from recurra.nn.layers import _RECURRENTS
from tests.nn.helpers import KINDS, covering

B, T, F, H = 3, 5, 7, 9
EPS = torch.finfo(torch.float32).eps


def drop_in(kind, **options):
    name, own = KINDS[kind]
    torch.manual_seed(0)
    layer = getattr(recurra.nn, name)(F, H, **own, **options)
    return layer, copy.deepcopy(layer)


def torchs(layer):
    """Torch's own layer in float64, with the numbers that the int8 and scales of ``layer`` stand for."""
    theirs = getattr(nn, type(layer).__name__)(
        F,
        H,
        layer.num_layers,
        bias=layer.bias,
        bidirectional=layer.bidirectional,
        dtype=torch.float64,
        **({"proj_size": layer.proj_size} if layer.proj_size else {}),
        **({"nonlinearity": layer.nonlinearity} if isinstance(layer, nn.RNN) else {}),
    )
    kept = layer.state_dict()
    weights = {name: value.double() for name, value in kept.items() if name.startswith("bias")}
    for name in [name.removesuffix("_int8") for name in kept if name.endswith("_int8")]:
        weights[name] = kept[f"{name}_int8"].double() * kept[f"{name}_scale"].double()[:, None]
    theirs.load_state_dict(weights)
    return theirs


def assert_close(found, want):
    # up to two layers of five steps, each of sums of some twenty products of order one
    bound = 10 * 20 * EPS / 2 * max(1.0, float(want.abs().max()))
    torch.testing.assert_close(found.double(), want, rtol=0, atol=bound)


@torch.no_grad()
@covering(kind=list(KINDS), layers=[1, 2], bidirectional=[False, True], bias=[True, False])
def test_drop_ins_compute_what_torchs_do_with_the_rounded_weights(kind, layers, bidirectional, bias):
    layer, _ = drop_in(kind, num_layers=layers, bidirectional=bidirectional, bias=bias)
    names = [name for name, weight in layer.named_parameters() if weight.dim() == 2]
    done = recurra.quantize(layer)
    assert done == recurra.nn.Quantized({"": names}, {}) and isinstance(layer, getattr(nn, KINDS[kind][0]))
    theirs, x = torchs(layer), torch.randn(T, B, F)
    outputs, last = layer(x)
    wanted, after = theirs(x.double())
    for one, other in zip((outputs, *last), (wanted, *after), strict=True):
        assert_close(one, other)
    packed = [pack_padded_sequence(each, [5, 3, 2]) for each in (x, x.double())]
    assert_close(layer(packed[0])[0].data, theirs(packed[1])[0].data)
    state, states = last, after
    for t in range(T):
        outputs, state = layer(x[t : t + 1], state)
        wanted, states = theirs(x[t : t + 1].double(), states)
        assert_close(outputs, wanted)
    for recurrent in _RECURRENTS[layer]:
        assert [(plan.fault, len(plan.lowered.program.int8)) for plan in recurrent.plans.found] == [
            (None, len(names) // (layers * (1 + bidirectional)))
        ]


@torch.no_grad()
def test_a_product_moves_by_no_more_than_its_rounded_weights():
    layer, before = drop_in("relu", bias=False)
    recurra.quantize(layer)
    x = torch.randn(1, 200, F)
    scales = layer.weight_ih_l0_scale
    assert torch.equal(scales, before.weight_ih_l0.abs().amax(1) / 127)
    moved = (layer(x)[0] - before(x)[0]).abs()
    most = x.abs().sum(2, keepdim=True) * scales / 2 + 20 * EPS
    assert (moved <= most).all() and moved.max() > most.max() / 50


@torch.no_grad()
def test_copies_pickles_casts_and_checkpoints(tmp_path):
    layer, fresh = drop_in("lstm", num_layers=2)
    recurra.quantize(layer)
    x = torch.randn(T, B, F)
    want = layer(x)[0]
    layer.to("cpu").float().requires_grad_(True).requires_grad_(False)
    for other in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], want)
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    found = load_file(tmp_path / "layer.safetensors")
    assert found["weight_hh_l1_int8"].dtype == torch.int8 and "weight_hh_l1" not in found
    assert not torch.allclose(fresh(x)[0], want, rtol=0, atol=1e-6)
    recurra.quantize(fresh)
    fresh.load_state_dict(found)
    assert torch.equal(fresh(x)[0], want)


def test_gradients_and_other_calls_are_refused():
    layer, _ = drop_in("gru")
    recurra.quantize(layer)
    x = torch.randn(T, B, F)
    assert not layer(x)[0].requires_grad
    with pytest.raises(ValueError, match="int8 are for inference"):
        layer(x.clone().requires_grad_())
    for wrong in (x.double(), x[:, :, :3], x[:0]):
        with pytest.raises(ValueError, match="GRU with weights of int8 takes float32 on the CPU"):
            layer(wrong)
    with pytest.raises(ValueError, match="takes float32"):
        layer(x, torch.zeros(1, B, H, dtype=torch.int8))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.stack = Stack(Recurrent(LSTM(6, 8)), Bidirectional(Recurrent(LSTM(8, 4)), Recurrent(LSTM(8, 4))))
        self.gru = recurra.nn.GRU(8, 5, batch_first=True)
        self.theirs = nn.LSTM(5, 5, batch_first=True)
        self.slow = Recurrent(recurra.cells.CELLS["mlstm"](5, 4))
        self.exact = Recurrent(LSTM(4, 3)).double()
        self.output = nn.Linear(3, 2)

    def forward(self, tokens):
        x, _ = self.gru(self.stack(self.embedding(tokens))[0])
        x, _ = self.slow(self.theirs(x)[0])
        return self.output(self.exact(x.double())[0].float())


GATES = [f"{gate}.{name}" for gate in "gifo" for name in ("W_x", "W_h")]


def test_what_it_does_to_a_model_it_says():
    torch.manual_seed(0)
    model = Model()
    tokens = torch.randint(11, (3, 7))
    before = model(tokens).detach()
    done = recurra.quantize(model)
    stacked = ["stack.layers.0", "stack.layers.1.forwards", "stack.layers.1.backwards"]
    assert done.weights == dict.fromkeys(stacked, GATES) | {"gru": ["weight_ih_l0", "weight_hh_l0"]}
    assert list(done.left) == ["theirs", "slow", "exact"]
    for line in (
        "gru: int8 weight_ih_l0, weight_hh_l0",
        "left theirs: torch's own code runs it: call recurra.accelerate before",
        "left slow: it runs step by step in PyTorch: a product of two matrices of which both change",
        "left exact: its weights are torch.float64, and int8 takes the place of torch.float32",
    ):
        assert line in repr(done)
    assert model.embedding.weight.requires_grad and model.output.weight.requires_grad
    with torch.no_grad():
        after = model(tokens)
    assert 0 < (after - before).abs().max() < 0.01
    again = recurra.quantize(model)
    assert not again.weights and again.left["gru"] == again.left["stack.layers.0"] == "its weights are int8 already"
    recurra.accelerate(model)
    assert recurra.quantize(model).weights == {"theirs": ["weight_ih_l0", "weight_hh_l0"]}


def test_what_is_no_model():
    with pytest.raises(TypeError, match="model must be a torch.nn.Module, got dict"):
        recurra.quantize({})
    assert repr(recurra.quantize(nn.Linear(2, 2))) == "found no recurrent layer"
    with pytest.raises(ValueError, match="no input_size"):
        recurra.quantize(Recurrent(nn.Identity(), lambda batch: torch.zeros(batch, 2)))
