"""A sequence that remembers segments is the same function as one that remembers all: in float64, to rounding."""

import copy
import subprocess
import sys
from itertools import accumulate

import jaxtyping
import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.profiler import ProfilerActivity, profile

from recurra.cells import CELLS
from recurra.layers import LearntState, Recurrent, RecurrentDropout, WeightDrop, Zoneout
from recurra.recurrence import fused, segments, stepwise
from recurra.recurrence.cpu import execute
from recurra.recurrence.state import map_state, tensors
from tests.layers.torch_cells import close
from tests.processor import multiplies_bfloat16

B, T, F, H = 3, 11, 3, 4
LENGTHS = torch.tensor([11, 2, 7])
real_segment_steps = segments.segment_steps
RESET = torch.rand(B, T, generator=torch.Generator().manual_seed(3)) < 0.2


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Segments of four steps, so that eleven make two and a part."""
    monkeypatch.setattr(segments, "segment_steps", lambda steps, *_: min(steps, 4))
    monkeypatch.setattr(stepwise, "ROOTS", 1)


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


def test_segments_go_by_the_loop_are_checked_once_and_run_twice(monkeypatch):
    _, layer = both(CELLS["lstm"])
    x, state = inputs(layer)
    runs, checks = [], []
    run, check = segments.run_forward, fused.disagreement
    monkeypatch.setattr(segments, "run_forward", lambda *given: (runs.append(given[4]), run(*given))[1])
    monkeypatch.setattr(fused, "disagreement", lambda *given: checks.append(1) or check(*given))
    for _ in range(2):
        runs.clear()
        outputs, _ = layer(x, state)
        assert runs == [4, 4, 3]
        outputs.sum().backward()
        assert runs == [4, 4, 3, 3, 4, 4]
    assert len(checks) == 1
    runs.clear()
    with torch.no_grad():
        layer(x, state)
    assert runs == []


def peak_bytes(call):
    """The most that PyTorch holds at a time of what it has allocated during a call."""
    call()  # the first use is checked
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        result = call()
    del result
    events = [event for event in found.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))


@pytest.fixture
def of_least_memory(monkeypatch):
    """Segments by the arithmetic alone, however small."""
    monkeypatch.undo()
    monkeypatch.setattr(segments, "LEAST", 0)
    monkeypatch.setattr(segments, "PASSES", 0)


@pytest.mark.usefixtures("of_least_memory")
def test_memory_beside_outputs_and_gradients_grows_as_the_root_of_the_steps():
    peaks = {}
    for layer in both(CELLS["lstm"]):
        for steps in (400, 1600, 6400):
            x = inputs(layer, steps)[0]
            given = torch.randn(B, steps, H, dtype=x.dtype)
            peak = peak_bytes(
                lambda layer=layer, x=x, given=given: torch.autograd.grad(layer(x)[0], [x, *layer.parameters()], given)
            )
            peaks.setdefault(layer.remember, []).append(peak - given.nbytes - x.nbytes)
    for short, middle, long in peaks.values():
        grown = (long - middle) / (middle - short)  # what does not grow cancels: 4 where memory is of order T
        assert grown == pytest.approx(2 if (short, middle, long) == tuple(peaks["segments"]) else 4, rel=0.1)
    assert peaks["segments"][-1] < peaks["all"][-1] / 50


def test_segments_remember_as_much_as_is_kept_between_them_but_not_next_to_nothing():
    assert real_segment_steps(10_000, state=8, remembered=32, least=0) == 50
    assert real_segment_steps(40_000, state=8, remembered=32, least=0) == 100
    assert real_segment_steps(10_000, state=8, remembered=32, least=3200) == 100
    assert real_segment_steps(10_001, state=8, remembered=32, least=3200) == 101  # a hundred, not one more of one step
    assert real_segment_steps(10, state=8, remembered=32, least=3200) == 10


def test_the_gradient_of_x_needs_no_copy():
    _, layer = both(CELLS["lstm"])
    for x in (inputs(layer)[0], inputs(layer)[0].detach().transpose(0, 1).contiguous().transpose(0, 1)):
        (gradient,) = torch.autograd.grad(layer(x.requires_grad_())[0].sum(), x)
        assert gradient.stride() == x.stride()


def test_in_float32_only_sums_over_steps_are_rounded_otherwise():
    one, other = both(CELLS["lstm"])
    one, other = one.float(), other.float()
    x = torch.randn(B, T, F, generator=torch.Generator().manual_seed(2)).requires_grad_()
    found = [everything(layer, lambda layer: layer(x), [x]) for layer in (one, other)]
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(right, left, rtol=0, atol=4 * T * B * torch.finfo(torch.float32).eps)


@multiplies_bfloat16
def test_under_autocast_products_are_rounded_as_ever(monkeypatch):
    monkeypatch.setattr(execute, "ROUNDED", 0)
    one, other = both(CELLS["lstm"])
    one, other = one.float(), other.float()
    x = torch.randn(B, T, F, generator=torch.Generator().manual_seed(2)).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [everything(layer, lambda layer: layer(x)[:1], [x]) for layer in (one, other)]
    assert not torch.allclose(found[0][0], one(x)[0], rtol=0, atol=1e-4)
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(right, left, rtol=0, atol=2**-8 * float(left.detach().abs().max()))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own use of it
@pytest.mark.parametrize("cell", ["lstm", "mlstm"])
def test_forward_mode_takes_the_ordinary_call(cell):
    one, other = both(CELLS[cell])
    x = inputs(one)[0].detach()
    tangents = []
    for layer in (one, other):
        with forward_ad.dual_level():
            outputs, _ = layer(forward_ad.make_dual(x, torch.ones_like(x)))
            tangents.append(forward_ad.unpack_dual(outputs).tangent)
    close(tangents[1], tangents[0])


CAPTURE = """
import torch, recurra
from recurra.recurrence import segments
segments.segment_steps = lambda *given: 4
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
    assert str(other.explain()).removeprefix(str(one.explain())).startswith("\n  segments    in training: the states")
    assert "segments" not in str(one.explain())


@pytest.mark.usefixtures("as_a_user")
def test_another_word_is_named():
    with pytest.raises(ValueError, match="remember must be 'all' or 'segments', got 'some'"):
        Recurrent(nn.GRUCell(F, H), remember="some")
