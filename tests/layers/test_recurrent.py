"""torch's own sequence layers, which share no code with the loop, are the measure; in float64 1e-12 is rounding."""

import jaxtyping
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.layers import LearntState, Recurrent
from recurra.recurrence.state import map_state, select, tensors
from tests.layers.torch_cells import LAYERS, cell_of, close

B, T, F, H = 4, 6, 3, 5
LENGTHS = torch.tensor([2, 6, 1, 4])


@pytest.fixture(params=LAYERS, ids=lambda kind: kind.__name__)
def theirs(request):
    torch.manual_seed(0)
    return request.param(F, H, batch_first=True, dtype=torch.float64)


@pytest.fixture
def x():
    return torch.randn(B, T, F, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)


@pytest.fixture
def as_a_user():
    """As outside the tests, where annotations are not checked and the layers' own errors speak."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def random_state(layer, rows=B):
    noise = torch.Generator().manual_seed(2)
    return map_state(lambda leaf: torch.randn(leaf.shape, dtype=leaf.dtype, generator=noise), layer.initial_state(rows))


def torch_state(state):
    """(batch, H) tensors as torch's layers number them: (layers, batch, H)."""
    return map_state(lambda leaf: leaf.unsqueeze(0), state)


def gradients(outputs, state, x, weights):
    total = sum((t * torch.linspace(-1, 1, t.numel(), dtype=t.dtype).view_as(t)).sum() for t in (outputs, *state))
    return torch.autograd.grad(total, [x, *weights])


@pytest.mark.parametrize("given", [False, True], ids=["own start", "given state"])
@pytest.mark.parametrize("steps", [1, T])
@pytest.mark.parametrize("rows", [1, B])
def test_outputs_state_and_gradients_equal_torchs_layers(theirs, x, given, steps, rows):
    layer = Recurrent(cell_of(theirs))
    x = x[:rows, :steps]
    state = random_state(layer, rows) if given else None
    outputs, last = layer(x, state)
    want, want_last = theirs(x, None if state is None else torch_state(state))
    close(outputs, want)
    close(torch_state(last), want_last)
    ours = gradients(outputs, tensors(last), x, layer.cell.parameters())
    close(ours, gradients(want, (t[0] for t in tensors(want_last)), x, theirs.parameters()))


def test_lengths_equal_packed_sequences_gradients_included(theirs, x):
    layer = Recurrent(cell_of(theirs))
    state = random_state(layer)
    outputs, last = layer(x, state, lengths=LENGTHS)
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    want, want_last = theirs(packed, torch_state(state))
    want, _ = pad_packed_sequence(want, batch_first=True)
    close(outputs, want)
    close(torch_state(last), want_last)
    assert not any(outputs[row, length:].any() for row, length in enumerate(LENGTHS))
    ours = gradients(outputs, tensors(last), x, layer.cell.parameters())
    close(ours, gradients(want, (t[0] for t in tensors(want_last)), x, theirs.parameters()))


def test_a_row_without_steps_keeps_its_state(theirs, x):
    layer = Recurrent(cell_of(theirs))
    state = random_state(layer)
    outputs, last = layer(x, state, lengths=torch.tensor([0, 3, 0, 6]))
    for got, given in zip(tensors(last), tensors(state), strict=True):
        assert torch.equal(got[[0, 2]], given[[0, 2]]) and not torch.equal(got, given)
    assert not outputs[[0, 2]].any()


def test_padding_may_hold_anything_and_resets_in_it_do_nothing(theirs, x):
    layer = Recurrent(cell_of(theirs))
    poisoned = x.detach().clone()
    for row, length in enumerate(LENGTHS):
        poisoned[row, length:] = torch.nan
    poisoned.requires_grad_()
    after_end = torch.arange(T) >= LENGTHS[:, None]
    results = [layer(x, lengths=LENGTHS), layer(poisoned, lengths=LENGTHS, reset=after_end)]
    close(results[1], results[0])
    grads = [gradients(o, tensors(s), i, layer.parameters()) for (o, s), i in zip(results, (x, poisoned), strict=True)]
    close(grads[1], grads[0])


@pytest.mark.parametrize("cuts", [[1, 1, 1, 1, 1, 1], [2, 3, 1], [5, 1]], ids=str)
def test_any_split_equals_one_call(theirs, x, cuts):
    layer = Recurrent(cell_of(theirs))
    reset = torch.rand(B, T, generator=torch.Generator().manual_seed(3)) < 0.3
    want, want_last = layer(x, reset=reset)
    state, parts = layer.initial_state(B), []
    for piece, marks in zip(x.split(cuts, dim=1), reset.split(cuts, dim=1), strict=True):
        outputs, state = layer(piece, state, reset=marks)
        parts.append(outputs)
    close(torch.cat(parts, dim=1), want)
    close(state, want_last)


def test_single_steps_and_trajectory_equal_one_call(theirs, x):
    layer = Recurrent(cell_of(theirs))
    state = random_state(layer)
    want, want_last = layer(x, state)
    trajectory = layer.trajectory(x, state)
    close(trajectory.outputs, want)
    close(trajectory.state, want_last)
    for t in range(T):
        output, state = layer.step(x[:, t], state)
        close(output, want[:, t])
        close(map_state(lambda leaf, t=t: leaf[:, t], trajectory.states), state)


def test_trajectory_of_ragged_rows_freezes_their_states(theirs, x):
    layer = Recurrent(cell_of(theirs))
    trajectory = layer.trajectory(x, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS):
        alone, last = layer(x[row : row + 1, :length])
        close(trajectory.outputs[row : row + 1, :length], alone)
        for leaf, end in zip(tensors(trajectory.states), tensors(last), strict=True):
            close(leaf[row, length - 1 :], end.expand(T - length + 1, -1))


@pytest.mark.parametrize("start", ["own", "given", "learnt"])
def test_reset_runs_segments_separately_from_the_initial_state_never_from_the_state_given(theirs, x, start):
    cell = cell_of(theirs)
    state = random_state(Recurrent(cell))
    first = map_state(lambda leaf: leaf[:1].cos(), state)
    if start == "own":
        layer, first = Recurrent(cell), map_state(torch.zeros_like, first)
    elif start == "given":
        layer = Recurrent(cell, initial_state=lambda rows: map_state(lambda leaf: leaf.expand(rows, -1), first))
    else:
        layer = Recurrent(cell, initial_state=LearntState(cell))
        for value, leaf in zip(layer.start.parameters(), tensors(first), strict=True):
            nn.init.zeros_(value).data += leaf
    reset = torch.zeros(B, T, dtype=torch.bool)
    reset[0, 3] = reset[1, 0] = reset[2, 2] = reset[2, 5] = True
    outputs, last = layer(x, state, reset=reset)
    segments = {0: [(0, 3), (3, T)], 1: [(0, T)], 2: [(0, 2), (2, 5), (5, T)], 3: [(0, T)]}
    for row, bounds in segments.items():
        for begin, end in bounds:
            before = first if reset[row, begin] else select(state, torch.tensor([row]))
            want, want_last = theirs(x[row : row + 1, begin:end], torch_state(before))
            close(outputs[row : row + 1, begin:end], want)
        close(torch_state(select(last, torch.tensor([row]))), want_last)


def test_no_gradient_passes_a_reset(theirs, x):
    layer = Recurrent(cell_of(theirs))
    state = map_state(torch.Tensor.requires_grad_, random_state(layer))
    reset = torch.zeros(B, T, dtype=torch.bool)
    reset[:2, 3] = True
    outputs, _ = layer(x, state, reset=reset)
    grad, *into_state = torch.autograd.grad(outputs[:, 3:].sum(), [x, *tensors(state)])
    assert not grad[:2, :3].any() and grad[2:, :3].all() and grad[:, 3:].all()
    for leaf in into_state:
        assert not leaf[:2].any() and leaf[2:].all()


def test_float32_and_float64_inputs_give_their_own_type():
    for dtype in (torch.float32, torch.float64):
        outputs, state = Recurrent(nn.LSTMCell(F, H, dtype=dtype))(torch.zeros(B, T, F, dtype=dtype))
        assert {outputs.dtype, *(leaf.dtype for leaf in state)} == {dtype}


def test_everything_is_made_where_the_weights_are():
    layer = Recurrent(nn.LSTMCell(F, H, device="meta"))
    outputs, state = layer(
        torch.zeros(B, T, F, device="meta"), reset=torch.zeros(B, T, dtype=torch.bool, device="meta")
    )
    assert {outputs.device.type, *(leaf.device.type for leaf in state)} == {"meta"}


def test_gradients_equal_finite_differences_through_lengths_and_resets():
    torch.manual_seed(0)
    layer = Recurrent(nn.GRUCell(2, 2, dtype=torch.float64))
    x, h = torch.randn(2, 3, 2, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    lengths, reset = torch.tensor([3, 2]), torch.tensor([[0, 0, 1], [0, 1, 0]]).bool()
    inputs = (x.requires_grad_(), h.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, h: layer(x, h, lengths=lengths, reset=reset), inputs)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"state": torch.zeros(1, H)}, r"x has 4 rows, but a tensor of the state is \(1, 5\)"),
        ({"lengths": torch.tensor([1, 2, 3])}, r"lengths must be \(4,\), got \(3,\)"),
        ({"lengths": torch.tensor([1, 2, 3, 7])}, "lengths must lie in 0 to 6, got 1 to 7"),
        ({"lengths": torch.tensor([1, 2, 3, -1])}, "lengths must lie in 0 to 6, got -1 to 3"),
        ({"reset": torch.zeros(B, T - 1, dtype=torch.bool)}, r"reset must be \(4, 6\), got \(4, 5\)"),
        ({"x": torch.zeros(B, 0, F)}, r"at least one step, got \(4, 0, 3\)"),
        ({"x": torch.zeros(B, F)}, r"x must be \(batch, time, features\)"),
    ],
)
@pytest.mark.usefixtures("as_a_user")
def test_wrong_shapes_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(nn.GRUCell(F, H))(**{"x": torch.zeros(B, T, F), **bad})
