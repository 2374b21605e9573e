"""A sequence that remembers segments is the same function as one that remembers all: in float64, to rounding."""

import copy
import subprocess
import sys

import jaxtyping
import pytest
import torch
from torch import nn

from recurra.cells import CELLS
from recurra.layers import LearntState, Recurrent, RecurrentDropout, WeightDrop, Zoneout
from recurra.recurrence import fused, segments
from recurra.recurrence.state import map_state, tensors
from tests.layers.torch_cells import close

B, T, F, H = 3, 11, 3, 4
LENGTHS = torch.tensor([11, 2, 7])
RESET = torch.rand(B, T, generator=torch.Generator().manual_seed(3)) < 0.2


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Segments of four steps, so that eleven make two and a part."""
    monkeypatch.setattr(segments, "ROOTS", 1)
    assert segments.segment_steps(T) == 4


@pytest.fixture
def as_a_user():
    """As outside the tests, where annotations are not checked and the layers' own errors speak."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def both(cell, **arguments):
    """Two layers with the same weights."""
    torch.manual_seed(0)
    one = Recurrent(cell(F, H) if isinstance(cell, type) else cell, **arguments).double()
    for parameter in one.parameters():
        nn.init.normal_(parameter, std=0.5)
    other = copy.deepcopy(one)
    other.remember = "segments"
    return one, other


def inputs(layer, steps=T):
    noise = torch.Generator().manual_seed(1)
    x = torch.randn(B, steps, F, generator=noise, dtype=torch.float64).requires_grad_()
    state = map_state(
        lambda leaf: torch.randn(leaf.shape, generator=noise, dtype=leaf.dtype).requires_grad_(), layer.initial_state(B)
    )
    return x, state


def everything(layer, call, leaves):
    """What a call returns, and the gradients of a sum in which no two elements weigh the same."""
    torch.manual_seed(5)
    values = list(tensors(call(layer)))
    total = sum((v * torch.linspace(-1, 1, v.numel(), dtype=v.dtype).view_as(v)).sum() for v in values)
    found = torch.autograd.grad(total, [*leaves, *layer.parameters()], allow_unused=True)
    return [*values, *(torch.zeros(()) if each is None else each for each in found)]


def same(one, other, call, leaves=()):
    close(everything(other, call, leaves), everything(one, call, leaves))


@pytest.mark.parametrize("cell", ["lstm", "gru", "mlstm"])
@pytest.mark.parametrize("masks", [{}, {"lengths": LENGTHS}, {"reset": RESET}, {"lengths": LENGTHS, "reset": RESET}])
def test_outputs_states_and_gradients_are_those_of_all(cell, masks):
    one, other = both(CELLS[cell])
    x, state = inputs(one)
    same(one, other, lambda layer: layer(x, state, **masks), [x, *tensors(state)])
    same(one, other, lambda layer: tuple(layer.trajectory(x, state, **masks)), [x, *tensors(state)])


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 16])
def test_any_number_of_steps(steps):
    one, other = both(CELLS["lstm"])
    x, _ = inputs(one, steps)
    same(one, other, lambda layer: layer(x), [x])
    same(one, other, lambda layer: layer(x.transpose(0, 1).contiguous().transpose(0, 1)), [x])


@pytest.mark.parametrize("cell", ["lstm", "mlstm"])
def test_a_learnt_start_is_learnt(cell):
    cell = CELLS[cell](F, H)
    one, other = both(cell, initial_state=LearntState(cell))
    x, _ = inputs(one)
    same(one, other, lambda layer: layer(x), [x])
    same(one, other, lambda layer: layer(x, reset=RESET), [x])


def test_only_the_state_may_be_used():
    one, other = both(CELLS["lstm"])
    x, state = inputs(one)
    same(one, other, lambda layer: layer(x, state)[1], [x, *tensors(state)])


@pytest.mark.parametrize("cell", ["lstm", "mlstm"])
@pytest.mark.parametrize("masked", [lambda cell: RecurrentDropout(cell, 0.5), lambda cell: Zoneout(cell, 0.3)])
def test_masks_are_drawn_once(cell, masked):
    one, other = both(masked(CELLS[cell](F, H)))
    x, state = inputs(one)
    same(one, other, lambda layer: layer(x, state), [x, *tensors(state)])


class Noisy(nn.Module):
    """A step that draws."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(F, H))

    def initial_state(self, batch_size):
        return self.weight.new_zeros(batch_size, H)

    def forward(self, x, h):
        return torch.tanh(x @ self.weight + h) * torch.bernoulli(torch.full_like(h, 0.5))


def test_what_a_step_draws_it_draws_again():
    one, other = both(Noisy())
    x, _ = inputs(one)
    same(one, other, lambda layer: layer(x), [x])


@pytest.mark.parametrize("cell", ["lstm", "mlstm"])
def test_weights_are_those_of_the_call_not_of_the_gradient(cell):
    one, other = both(CELLS[cell])
    x, _ = inputs(one)
    names = [next(name for name, _ in one.cell.named_parameters())]
    dropped = WeightDrop(one, 0.5, names), WeightDrop(other, 0.5, names)
    same(*dropped, lambda layer: layer(x), [x])


@pytest.mark.parametrize("cell", ["lstm", "mlstm"])
def test_a_weight_or_input_edited_before_the_gradient_is_an_error_as_ever(cell):
    _, layer = both(CELLS[cell])
    for edited in (next(layer.parameters()), inputs(layer)[0].detach()):
        x = inputs(layer)[0] if isinstance(edited, nn.Parameter) else edited
        outputs, _ = layer(x)
        with torch.no_grad():
            edited.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            outputs.sum().backward()


def test_a_reset_refilled_and_results_edited_before_the_gradient_change_nothing():
    one, other = both(CELLS["lstm"])
    x, _ = inputs(one)
    reset = RESET.clone()
    outputs, state = other(x, reset=reset)
    (gradient,) = torch.autograd.grad(outputs.sum() + state.h.sum(), x, retain_graph=True)
    reset.fill_(True)
    state.h.detach().zero_()
    outputs.detach().zero_()
    (again,) = torch.autograd.grad(outputs.sum() + state.h.sum(), x)
    close(again, gradient)


@pytest.mark.parametrize("cell", ["lstm", "mlstm"])
def test_second_derivatives(cell):
    one, other = both(CELLS[cell])
    x, state = inputs(one)
    found = []
    for layer in (one, other):
        outputs, last = layer(x, state, LENGTHS, RESET)
        total = outputs.sin().sum() + sum(leaf.cos().sum() for leaf in tensors(last))
        (gradient,) = torch.autograd.grad(total, x, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), [x, *layer.parameters()], allow_unused=True))
    close([each for each in found[1] if each is not None], [each for each in found[0] if each is not None])


def saved_elements(call):
    """How many elements the graph of a call holds, each memory once."""
    call()  # the first use is checked, with a graph of its own
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = call()
    del result
    return sum(kept.values())


def test_segments_go_by_the_loop_are_checked_once_and_run_twice(monkeypatch):
    _, layer = both(CELLS["lstm"])
    x, state = inputs(layer)
    runs, checks = [], []
    run, check = segments.run_recipe, fused.disagreement
    monkeypatch.setattr(segments, "run_recipe", lambda *given: (runs.append(given[2].inputs.shape[1]), run(*given))[1])
    monkeypatch.setattr(fused, "disagreement", lambda *given: checks.append(1) or check(*given))
    for _ in range(2):
        runs.clear()
        outputs, _ = layer(x, state)
        assert runs == [4, 4, 3]
        outputs.sum().backward()
        assert runs == [4, 4, 3, 4, 4]
    assert len(checks) == 1
    runs.clear()
    with torch.no_grad():
        layer(x, state)
    assert runs == []


def test_a_graph_holds_the_states_between_segments_and_one_segment():
    one, other = both(CELLS["lstm"])
    x = inputs(one, 100)[0].detach()
    of_all, of_segments = (saved_elements(lambda layer=layer: layer(x)) for layer in (one, other))
    weights = sum(parameter.numel() for parameter in one.parameters())
    remembered, state = of_all - weights - x.numel() - 2 * B * H, 2 * B * H
    # ten segments of ten steps; those before the last are held by their states alone
    assert segments.segment_steps(100) == 10
    assert of_segments <= weights + x.numel() + 10 * state + remembered // 10


CAPTURE = """
import torch, recurra
from recurra.recurrence import segments
segments.ROOTS = 1
layer = recurra.Recurrent(recurra.cells.LSTM(3, 4), remember="segments")
x = torch.randn(2, 11, 3)
results = []
for forward in (layer, torch.compile(layer, fullgraph=True, backend="aot_eager")):
    layer.zero_grad()
    outputs, _ = forward(x)
    outputs.square().sum().backward()
    results.append([outputs, *(weight.grad.clone() for weight in layer.parameters())])
for one, other in zip(*results, strict=True):
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
"""


def test_a_captured_graph_is_that_of_the_ordinary_call():
    # dynamo cannot read code that the tests' checks wrap
    done = subprocess.run([sys.executable, "-c", CAPTURE], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cell", ["lstm", "mlstm"])
def test_transforms_take_the_ordinary_call(cell):
    one, other = both(CELLS[cell])
    x, _ = inputs(one)
    gradient = torch.func.grad(lambda x: other(x)[0].sum())(x.detach())
    close(gradient, torch.autograd.grad(one(x)[0].sum(), x)[0])


@pytest.mark.parametrize("cell", ["lstm", "mlstm"])
def test_a_graph_kept_gives_its_gradient_again(cell):
    _, layer = both(CELLS[cell])
    x, _ = inputs(layer)
    total = layer(x)[0].sum()
    first, second = (torch.autograd.grad(total, [x, *layer.parameters()], retain_graph=True) for _ in range(2))
    close(second, first)


def test_explain_says_it():
    one, other = both(CELLS["lstm"])
    assert str(other.explain()).removeprefix(str(one.explain())).startswith("\n  segments    in training, of 1 sqrt(T)")
    assert "segments" not in str(one.explain())


@pytest.mark.usefixtures("as_a_user")
def test_another_word_is_named():
    with pytest.raises(ValueError, match="remember must be 'all' or 'segments', got 'some'"):
        Recurrent(nn.GRUCell(F, H), remember="some")
