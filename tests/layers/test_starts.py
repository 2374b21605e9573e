"""Starts against what defines them: orthogonality, the paper's Cayley transform, distributions, a step's Jacobian."""

import math

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

from recurra.cells import CELLS, GRU, LSTM, Elman, LSTMState
from recurra.errors import BadInput
from recurra.layers import Bidirectional, Recurrent, Stack, Zoneout, starts
from recurra.recurrence.reference import take_step
from recurra.recurrence.state import map_state, tensors

SQUARE = ["elman", "irnn", "jordan", "original-lstm", "lstm", "peephole-lstm", "gru", "layer-norm-lstm", "slstm"]
SQUARE += ["multiplicative-lstm", "recurrent-highway"]
GATED = {"lstm": "s", "peephole-lstm": "s", "layer-norm-lstm": "s", "lstmp": "s", "multiplicative-lstm": "s"}
GATED |= {"gru": "h", "min-gru": "h", "min-lstm": "h", "recurrent-highway": "h", "sru": "c", "slstm": "c", "mlstm": "C"}


@pytest.fixture(autouse=True)
def in_float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def blocks(module: nn.Module, units: int) -> list[Tensor]:
    """The recurrent blocks, found by their names alone."""
    found = [p for name, p in module.named_parameters() if name.endswith(("W_h", "W_mh", "W_yh", "weight_hh"))]
    return [block for weight in found for block in weight.split(units)]


@pytest.mark.parametrize("name", SQUARE)
def test_every_gates_block_is_orthogonal(name: str) -> None:
    cell = CELLS[name](3, 6)
    others = {n: p.clone() for n, p in cell.named_parameters() if not n.endswith(("W_h", "W_mh", "W_yh"))}
    starts.orthogonal(cell, 0.5)
    found = blocks(cell, 6)
    assert found and all(torch.allclose(block @ block.T, 0.25 * torch.eye(6)) for block in found)
    assert not any(torch.equal(found[0], other) for other in found[1:])
    assert all(torch.equal(cell.get_parameter(n), before) for n, before in others.items())


def test_an_orthogonal_linear_recurrence_keeps_lengths() -> None:
    layer = Recurrent(Elman(3, 6, activation="identity"))
    starts.orthogonal(layer)
    start = torch.randn(2, 6)
    outputs, _ = layer(torch.zeros(2, 200, 3), type(layer.initial_state(1))(start))
    torch.testing.assert_close(outputs.norm(dim=2), start.norm(dim=1, keepdim=True).expand(2, 200))


def test_identity() -> None:
    layer = Recurrent(nn.LSTMCell(3, 4))
    starts.identity(layer, 0.9)
    assert torch.equal(layer.get_parameter("cell.weight_hh"), 0.9 * torch.eye(4).repeat(4, 1))


@pytest.mark.parametrize("units", [6, 7])
def test_rotations_are_the_papers_cayley_transform(units: int) -> None:
    cell = Elman(3, units)
    starts.rotations(cell)
    (found,) = blocks(cell, units)
    angles = [math.atan2(found[k + 1, k].item(), found[k, k].item()) for k in range(0, units - 1, 2)]
    assert all(0 <= angle <= math.pi / 2 for angle in angles) and len(set(angles)) == 3
    A, one = torch.zeros(units, units), torch.eye(units)
    for k, angle in enumerate(angles):
        A[2 * k, 2 * k + 1] = math.sqrt((1 - math.cos(angle)) / (1 + math.cos(angle)))
    A = A - A.T
    torch.testing.assert_close(found.detach(), torch.linalg.solve(one + A, one - A))


def test_angles_are_uniform() -> None:
    cell = Elman(1, 2000)
    starts.rotations(cell)
    (found,) = blocks(cell, 2000)
    angles = torch.acos(found.diagonal()[::2]).detach()
    assert kstest(angles.numpy(), "uniform", (0, math.pi / 2)).pvalue > 0.01


def kept(cell: nn.Module, field: str) -> float:
    """How much of its past a cell without weights, but with its biases, keeps of an element, median over them."""
    for name, parameter in cell.named_parameters():
        if parameter.dim() > 1 or name.startswith(("v_", "i.p", "f.p", "o.p")):
            nn.init.zeros_(parameter)
    state = map_state(lambda leaf: torch.rand(leaf.shape) + 0.5, cell.initial_state(1))  # type: ignore[operator]
    state = state._replace(**({"m": torch.zeros_like(state.m)} if hasattr(state, "m") else {}))
    before = getattr(state, field).requires_grad_()
    after = getattr(take_step(cell, torch.zeros(1, 3), state).state, field)
    (slopes,) = torch.autograd.grad(after.sum(), before)
    return slopes.median().item()


@pytest.mark.parametrize("name", [name for name in GATED if name != "min-lstm"])  # whose gates keep by their ratio
def test_gates_begin_open_or_shut(name: str) -> None:
    open_, shut = CELLS[name](3, 5), CELLS[name](3, 5)
    starts.forget_bias(open_, 20.0)
    starts.forget_bias(shut, -20.0)
    assert kept(open_, GATED[name]) == pytest.approx(1, abs=1e-6)
    assert kept(shut, GATED[name]) == pytest.approx(0, abs=1e-6)


def test_chrono() -> None:
    cell = LSTM(1, 2000)
    before = cell.o.b.clone()
    starts.chrono(cell, 50)
    lengths = torch.exp(cell.f.b).detach()
    assert kstest(lengths.numpy(), "uniform", (1, 48)).pvalue > 0.01
    assert torch.equal(cell.i.b, -cell.f.b) and torch.equal(cell.o.b, before)


@pytest.mark.parametrize("name", ["gru", "sru", "min-gru", "min-lstm", "recurrent-highway"])
def test_coupled_gates_of_chrono_keep_for_as_many_steps(name: str) -> None:
    """A gate that begins at log u keeps u / (1 + u), u from 1 to 9; two, at log u and -log u, do so by their ratio."""
    cell = CELLS[name](3, 501)
    starts.chrono(cell, 10)
    steps = 3 if name == "recurrent-highway" else 1  # as many gates, one after the other
    assert (1 / 2) ** steps <= kept(cell, GATED[name]) <= (9 / 10) ** steps
    assert kept(cell, GATED[name]) == pytest.approx((5 / 6) ** steps, rel=0.1)


def test_models_are_begun_as_a_whole() -> None:
    inner = [LSTM(3, 4), GRU(3, 4), Elman(8, 4)]
    model = Stack(Bidirectional(Recurrent(Zoneout(inner[0], 0.1)), Recurrent(inner[1])), Recurrent(inner[2]))
    starts.identity(model)
    assert all(torch.equal(block, torch.eye(4)) for cell in inner for block in blocks(cell, 4))
    starts.forget_bias(Stack(*(Recurrent(cell) for cell in inner[:2])), 3.0)
    assert inner[0].f.b.eq(3).all() and inner[1].z.b.eq(3).all()  # type: ignore[union-attr]


def test_a_compiled_loop_begins_anew() -> None:
    layer, x = Recurrent(LSTM(3, 4)), torch.randn(2, 5, 3)
    layer(x)
    starts.orthogonal(layer)
    outputs, _ = layer(x)
    state = LSTMState(torch.zeros(2, 4), torch.zeros(2, 4))
    for t in range(5):
        output, state = layer.cell(x[:, t], state)
        torch.testing.assert_close(outputs[:, t], output)
    assert all(leaf.any() for leaf in tensors(state))


@pytest.mark.parametrize("name", ["indrnn", "sru", "min-gru", "lru", "mlstm"])
def test_cells_without_such_a_matrix(name: str) -> None:
    for start in (starts.orthogonal, starts.identity, starts.rotations):
        with pytest.raises(BadInput, match=r"^\w+: has no square matrix"):
            start(Recurrent(CELLS[name](4, 4)))


@pytest.mark.parametrize("name", ["elman", "irnn", "original-lstm", "indrnn", "lru"])
def test_cells_without_such_a_gate(name: str) -> None:
    with pytest.raises(BadInput, match=r"^\w+: has no gate that keeps"):
        starts.forget_bias(Stack(Recurrent(LSTM(4, 4)), Recurrent(CELLS[name](4, 4))))
    with pytest.raises(ValueError, match="lag must be at least 2"):
        starts.chrono(LSTM(3, 4), 1)
