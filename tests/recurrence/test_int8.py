"""Weights kept as int8: what becomes of a parameter, and of the programs that multiply by it."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import recurra
from recurra.cells import CELLS
from recurra.layers import Recurrent
from recurra.recurrence import reference
from recurra.recurrence.int8 import rounded
from recurra.recurrence.state import map_state, tensors
from tests.recurrence.test_capture import in_fresh_process


def test_rounding_by_hand():
    weight = torch.tensor([[1.27, -0.64, 0.006, 0.0], [0.0, 0.0, 0.0, 0.0], [-254.0, 1.0, 3.1, 127.0]])
    found, scale = rounded(weight)
    torch.testing.assert_close(scale, torch.tensor([0.01, 1.0, 2.0]))
    assert found.tolist() == [[127, -64, 1, 0], [0, 0, 0, 0], [-127, 0, 2, 64]]


def test_no_weight_moves_by_more_than_half_a_scale():
    weight = torch.randn(50, 300, generator=torch.Generator().manual_seed(0)).exp()
    found, scale = rounded(weight)
    moved = (found.double() * scale.double().unsqueeze(1) - weight.double()).abs()
    assert (found.abs().amax(1) == 127).all()
    assert (moved <= scale.unsqueeze(1) * (0.5 + 127 * torch.finfo(torch.float32).eps)).all()


def of_float64(cell):
    """The cell in float64, with the numbers that its int8 and scales stand for as its parameters: nothing of the code
    under test runs it."""
    plain = copy.deepcopy(cell).double()
    for module in plain.modules():
        for name in [name.removesuffix("_int8") for name in module._buffers if name.endswith("_int8")]:
            whole = module._buffers.pop(f"{name}_int8").double() * module._buffers.pop(f"{name}_scale")[:, None]
            if isinstance(getattr(type(module), name, None), property):
                module.__class__ = type(module).__base__
            module.register_parameter(name, nn.Parameter(whole, requires_grad=False))
    return plain


def exactly(cell, x, state, lengths=None, reset=None):
    """Outputs and last state in float64."""
    cell, x = of_float64(cell), x.double()
    state, start = (map_state(lambda leaf: leaf.double(), each) for each in (state, cell.initial_state(len(x))))
    steps = list(reference.run(cell, x, state, start, lengths=lengths, reset=reset))
    return [torch.stack([step.output for step in steps], 1), *tensors(steps[-1].state)]


def assert_close(found, want):
    for one, other in zip(found, want, strict=True):
        # six steps, each of sums of some 50 products of order one, rounded in float32
        bound = 6 * 50 * torch.finfo(torch.float32).eps / 2 * max(1.0, float(other.abs().max()))
        torch.testing.assert_close(one.double(), other, rtol=0, atol=bound)


COMPILED = [name for name in CELLS if name != "mlstm"]


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 3, 9])
@pytest.mark.parametrize("name", COMPILED)
def test_every_cell_computes_with_its_rounded_weights(name, rows):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name](19, 19))
    done = recurra.quantize(layer)
    assert done.weights[""] and not done.left
    x = torch.randn(rows, 6, 19)
    lengths, reset = torch.randint(0, 7, (rows,)), torch.rand(rows, 6) < 0.3
    outputs, last = layer(x)
    (plan,) = layer.plans.found
    assert plan.fault is None and len(plan.lowered.program.int8) == len(done.weights[""])
    start = layer.initial_state(rows)
    assert_close([outputs, *tensors(last)], exactly(layer.cell, x, start))
    outputs, last = layer(x, last, lengths, reset)
    assert_close([outputs, *tensors(last)], exactly(layer.cell, x, layer(x)[1], lengths, reset))
    state, stream, found = start, layer.stream(rows), []
    for t in range(6):
        output, state = layer.step(x[:, t], state)
        found.append((output, stream.step(x[:, t])))
    for outputs, last in zip(map(list, zip(*found, strict=True)), (state, stream.state), strict=True):
        assert_close([torch.stack(outputs, 1), *tensors(last)], exactly(layer.cell, x, start))


class Own(nn.Module):
    """A cell of someone's: a matrix that is read transposed, one used both ways, one whose numbers are read, one that
    is another's too, and a vector."""

    def __init__(self):
        super().__init__()
        self.input_size = self.hidden_size = 12
        for name in ("A", "B", "C"):
            setattr(self, name, nn.Parameter(torch.randn(12, 12) / 4))
        self.D = nn.Linear(12, 12)
        self.E = nn.Linear(12, 12)
        self.E.weight = self.D.weight

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 12)

    def forward(self, x, h):
        both = F.linear(h @ self.A, self.B) @ self.B
        return torch.tanh(both + self.D(x) + self.E(h) + F.linear(h, self.C) * self.C[0])


@torch.no_grad()
def test_a_cell_of_ones_own():
    torch.manual_seed(1)
    layer = Recurrent(Own())
    before = sum(each.nbytes for each in layer.state_dict().values())
    assert recurra.quantize(layer).weights == {"": ["A", "B", "D.weight", "E.weight"]}
    names = {"A_int8", "B_int8", "D.weight_int8", "E.weight_int8", "C", "D.bias"}
    assert names < {name.removeprefix("cell.") for name in layer.state_dict()}
    assert sum(each.nbytes for each in layer.state_dict().values()) < before
    x = torch.randn(3, 6, 12)
    outputs, last = layer(x)
    (plan,) = layer.plans.found
    assert plan.fault is None and len(plan.lowered.program.int8) == 5  # B is read twice
    assert_close([outputs, last], exactly(layer.cell, x, layer.initial_state(3)))
    state = layer.initial_state(3)
    steps = []
    for t in range(6):
        output, state = layer.step(x[:, t], state)
        steps.append(output)
    assert_close([torch.stack(steps, 1)], exactly(layer.cell, x, layer.initial_state(3))[:1])


def quantized(name="lstm"):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name](7, 9))
    recurra.quantize(layer)
    return layer, torch.randn(2, 4, 7)


def test_gradients_are_refused_and_calls_without_them_are_not():
    layer, x = quantized()
    outputs, state = layer(x)  # nothing in the layer wants one
    assert not outputs.requires_grad
    for remember in ("all", "segments"):
        layer.remember = remember
        with pytest.raises(ValueError, match="int8 are for inference: call the layer under torch.no_grad"):
            layer(x.clone().requires_grad_())
    with pytest.raises(ValueError, match="for inference"):
        layer.step(x[:, 0].requires_grad_(), state)


@torch.no_grad()
def test_copies_and_pickles_compute_alike():
    layer, x = quantized("gru")
    want = layer(x)[0]
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], want)
        assert isinstance(other.cell.g, type(CELLS["gru"](1, 1).g))
        other.cell.g.W_h_int8.zero_()
    assert torch.equal(layer(x)[0], want)


@torch.no_grad()
def test_a_step_sees_every_edit_of_the_int8():
    layer, x = quantized()
    layer(x)
    state = layer.initial_state(2)
    before, _ = layer.step(x[:, 0], state)
    before, _ = layer.step(x[:, 0], state)
    assert layer.plans.stepper is not None
    layer.cell.g.W_x_int8.neg_()
    after, _ = layer.step(x[:, 0], state)
    want, _ = layer.cell(x[:, 0], state)
    torch.testing.assert_close(after, want, rtol=0, atol=1e-6)
    assert not torch.allclose(before, after, rtol=0, atol=1e-3)


@torch.no_grad()
def test_in_float64_and_under_autocast_the_weights_are_the_same_numbers():
    layer, x = quantized()
    want = layer(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x)[0], want)  # no operand is rounded
    double = copy.deepcopy(layer).double()
    torch.testing.assert_close(double(x.double())[0].float(), want, rtol=0, atol=2e-6)
    assert double.cell.g.W_h_int8.dtype == torch.int8


def test_explain_names_the_weights_and_says_that_there_is_no_way_back():
    text = str(quantized()[0].explain())
    assert "g.W_h_int8" in text and "invariant" not in text
    assert "backward: none, the weights kept as int8 are for inference" in text and "gradients" not in text


def test_under_export_and_compile():
    in_fresh_process(
        """
import torch, recurra
torch.manual_seed(0)
layer = recurra.Recurrent(recurra.cells.LSTM(5, 6))
recurra.quantize(layer)
x = torch.randn(3, 7, 5)
with torch.no_grad():
    want, _ = layer(x)
    exported = torch.export.export(layer, (x,))
    assert sum("recurra.run" in str(node.target) for node in exported.graph.nodes) == 1
    assert torch.equal(exported.module()(x)[0], want)
    assert torch.equal(torch.compile(layer, fullgraph=True, backend="aot_eager")(x)[0], want)
"""
    )
