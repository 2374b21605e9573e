"""Single steps and streams against whole sequences."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn.utils.parametrize import register_parametrization

from recurra.cells import CELLS
from recurra.cells.elman import ElmanState
from recurra.cells.lstm import LSTMState
from recurra.layers import Recurrent, RecurrentDropout
from recurra.recurrence.state import State, tensors

BOUNDS = {torch.float32: 2e-6, torch.float64: 1e-14}
FUSED = [name for name in CELLS if name != "mlstm"]
LONG = {("lru", torch.float32), ("lru", torch.float64), ("lstmp", torch.float32)}
"""Complex states, and a product of fewer numbers than a vector has: these never go the short way."""


def layer_and_sequence(name: str, dtype: torch.dtype, rows: int) -> tuple[Recurrent, torch.Tensor]:
    torch.manual_seed(0)
    return Recurrent(CELLS[name](5, 19).to(dtype)), torch.randn(rows, 6, 5, dtype=dtype)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize(("dtype", "rows"), [(torch.float32, 1), (torch.float64, 3), (torch.float32, 21)])
def test_steps_give_what_the_sequence_gives(name: str, dtype: torch.dtype, rows: int) -> None:
    layer, x = layer_and_sequence(name, dtype, rows)
    with torch.no_grad():
        whole, last = layer(x)
        state = layer.initial_state(rows)
        outputs = []
        for t in range(x.shape[1]):
            output, state = layer.step(x[:, t], state)
            outputs.append(output)
    assert layer.plans.stepper is not None and type(state) is type(last)
    bound = BOUNDS[dtype] * max(1.0, float(whole.abs().max()))
    torch.testing.assert_close(torch.stack(outputs, dim=1), whole, rtol=0, atol=bound)
    for one, other in zip(tensors(state), tensors(last), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=BOUNDS[dtype] * max(1.0, float(other.abs().max())))


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize(("dtype", "rows"), [(torch.float32, 1), (torch.float64, 3)])
def test_short_sequences_give_what_the_cell_gives(name: str, dtype: torch.dtype, rows: int) -> None:
    layer, x = layer_and_sequence(name, dtype, rows)
    with torch.no_grad():
        after = layer.initial_state(rows)
        for count in (6, 2, 5, 6):
            for state in (after, None):
                found, last = layer(x[:, :count], state)
                outputs, after = [], layer.initial_state(rows) if state is None else state
                for t in range(count):
                    output, after = layer.cell(x[:, t], after)
                    outputs.append(output)
                want = torch.stack(outputs, dim=1)
                bound = 10 * BOUNDS[dtype] * max(1.0, float(want.abs().max()))
                torch.testing.assert_close(found, want, rtol=0, atol=bound)
                for one, other in zip(tensors(last), tensors(after), strict=True):
                    torch.testing.assert_close(one, other, rtol=0, atol=bound)
    if (name, dtype) not in LONG:
        assert not layer.plans.stepper._calls._last.single


def test_a_short_sequence_sees_every_edit_of_the_weights() -> None:
    layer, x = layer_and_sequence("lstm", torch.float64, 1)
    with torch.no_grad():
        before = [layer(x)[0] for _ in range(3)][-1]
        layer.cell.g.W_x.data.mul_(2)
        after = layer(x)[0]
        want = layer.step(x[:, 0], layer.initial_state(1))[0]
    torch.testing.assert_close(after[:, 0], want, rtol=0, atol=1e-15)
    assert not torch.equal(before, after)


@torch.no_grad()
def test_short_sequences_of_any_strides_take_turns_with_steps() -> None:
    layer, x = layer_and_sequence("gru", torch.float64, 4)
    want, last = layer(x)
    apart = torch.stack([x, x], dim=3)[..., 1]
    time_first = x.transpose(0, 1).contiguous().transpose(0, 1)
    for given in (x, apart, time_first, x):
        found, state = layer(given)
        torch.testing.assert_close(found, want, rtol=0, atol=1e-15)
        torch.testing.assert_close(state, last, rtol=0, atol=1e-15)
        assert_same_step(layer, x[:, 0], layer.initial_state(4))


@torch.no_grad()
def test_what_a_short_sequence_gives_may_be_edited_in_place() -> None:
    layer, x = layer_and_sequence("elman", torch.float64, 2)
    for _ in range(3):
        output, state = layer(x)
        kept = output.clone()
        for leaf in tensors(state):
            leaf.zero_()
        assert torch.equal(output, kept)


@torch.no_grad()
@pytest.mark.parametrize(("hidden", "rows", "steps"), [(32, 20, 1), (32, 20, 6), (256, 120, 1)])
def test_under_autocast_products_are_rounded_but_in_small_calls(hidden: int, rows: int, steps: int) -> None:
    torch.manual_seed(0)
    layer, x = Recurrent(CELLS["lstm"](hidden, hidden)), torch.randn(rows, steps, hidden)
    state = layer.initial_state(rows)
    for _ in range(3):
        exact, _ = layer(x, state)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(3):
            found, _ = layer(x, state)
    assert torch.equal(found, exact) == (hidden == 32)
    torch.testing.assert_close(found, exact, rtol=0, atol=0.02)


def test_a_step_sees_every_edit_of_the_weights() -> None:
    layer, x = layer_and_sequence("lstm", torch.float64, 1)
    with torch.no_grad():
        layer(x)
        state = layer.initial_state(1)
        before, _ = layer.step(x[:, 0], state)
        before, _ = layer.step(x[:, 0], state)
        layer.cell.g.W_x.data.mul_(2)
        after, _ = layer.step(x[:, 0], state)
        want, _ = layer.cell(x[:, 0], state)
    torch.testing.assert_close(after, want, rtol=0, atol=1e-15)
    assert not torch.equal(before, after)


def test_a_step_with_gradients_has_them() -> None:
    layer, x = layer_and_sequence("gru", torch.float64, 2)
    with torch.no_grad():
        for _ in range(3):
            layer.step(x[:, 0], layer.initial_state(2))
    output, _ = layer.step(x[:, 0].requires_grad_(), layer.initial_state(2))
    want, _ = layer.cell(x[:, 0], layer.initial_state(2))
    (one,), (other,) = (torch.autograd.grad(y.square().sum(), [layer.cell.r.W_x]) for y in (output, want))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", FUSED)
def test_a_stream_keeps_the_weights_it_was_opened_with(name: str) -> None:
    layer, x = layer_and_sequence(name, torch.float64, 7)
    stream = layer.stream(7)
    with torch.no_grad():
        whole, last = layer(x)
        for weight in layer.parameters():
            weight.zero_()
    outputs = torch.stack([stream.step(x[:, t]) for t in range(x.shape[1])], dim=1)
    torch.testing.assert_close(outputs, whole, rtol=0, atol=1e-13 * max(1.0, float(whole.abs().max())))
    for one, other in zip(tensors(stream.state), tensors(last), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13 * max(1.0, float(other.abs().max())))


def test_a_stream_says_what_it_takes() -> None:
    layer, x = layer_and_sequence("lstm", torch.float32, 2)
    with pytest.raises(ValueError, match=r"takes \(2, 5\) of torch.float32, got \(2, 4\) of torch.float32"):
        layer.stream(2).step(x[:, 0, :4])
    with pytest.raises(ValueError, match="needs a compiled loop: a product of two matrices"):
        Recurrent(CELLS["mlstm"](5, 4)).stream(2)
    masked = RecurrentDropout(layer.cell, 0.5)
    masked.input_size = 5
    with pytest.raises(ValueError, match="needs a compiled loop: the cell prepares what its steps receive"):
        Recurrent(masked).stream(2)


def test_weights_of_another_type_are_refused_not_misread() -> None:
    layer, x = layer_and_sequence("lstm", torch.float32, 1)
    state = layer.initial_state(1)
    with torch.no_grad():
        for _ in range(3):
            layer.step(x[:, 0], state)
        layer(x)
        layer.double()
        with pytest.raises(RuntimeError, match="same dtype"):
            layer.step(x[:, 0], state)
        with pytest.raises(RuntimeError, match="same dtype"):
            layer(x, state)


def stepped(name: str, rows: int) -> tuple[Recurrent, torch.Tensor]:
    """A layer that has taken steps of so many rows, and an input for it."""
    layer, x = layer_and_sequence(name, torch.float64, rows)
    with torch.no_grad():
        for _ in range(3):
            layer.step(x[:, 0], layer.initial_state(rows))
    assert layer.plans.stepper is not None
    return layer, x


def assert_same_step(layer: Recurrent, x: torch.Tensor, state: State) -> None:
    with torch.no_grad():
        found, want = layer.step(x, state), layer.cell(x, state)
    for one, other in zip(tensors(found), tensors(want), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


@torch.no_grad()
def test_a_cell_put_in_the_place_of_another_runs() -> None:
    layer, x = stepped("lstm", 1)
    layer(x)
    layer.cell = CELLS["lstm"](5, 19).double()
    assert_same_step(layer, x[:, 0], layer.initial_state(1))
    want, _ = Recurrent(layer.cell)(x)
    torch.testing.assert_close(layer(x)[0], want, rtol=0, atol=0)


@torch.no_grad()
def test_a_step_sees_what_else_changes_about_the_cell() -> None:
    layer, x = stepped("elman", 2)
    state = ElmanState(torch.randn(2, 19, dtype=torch.float64))
    layer.cell._phi = torch.sigmoid
    assert_same_step(layer, x[:, 0], state)
    layer.cell.h.W_h.data = torch.randn(19, 19, dtype=torch.float64).T
    assert_same_step(layer, x[:, 0], state)
    layer.cell.h.W_x = torch.nn.Parameter(torch.randn(19, 5, dtype=torch.float64))
    assert_same_step(layer, x[:, 0], state)
    layer.cell.h.W_x.data = torch.randn(19, 7, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        layer.step(x[:, 0], state)


def transposed(layer: Recurrent) -> None:
    layer.cell.g.W_h.data = layer.cell.g.W_h.data.T


def transposed_in_place(layer: Recurrent) -> None:
    layer.cell.g.W_h.t_()


def moved_within_its_storage(layer: Recurrent) -> None:
    layer.cell.g.W_x.data = torch.randn(40, 5, dtype=torch.float64)[7:26]


def expanded(layer: Recurrent) -> None:
    layer.cell.g.b.data = torch.randn(1, dtype=torch.float64).expand(19)


def tied(layer: Recurrent) -> None:
    layer.cell.g.W_h = layer.cell.i.W_h


def loaded(layer: Recurrent) -> None:
    layer.load_state_dict({name: 2 * value for name, value in layer.state_dict().items()})


def assigned(layer: Recurrent) -> None:
    layer.load_state_dict({name: 2 * value for name, value in layer.state_dict().items()}, assign=True)


def optimised(layer: Recurrent) -> None:
    for weight in layer.parameters():
        weight.grad = torch.randn_like(weight)
    torch.optim.SGD(layer.parameters(), lr=0.1).step()


def parametrized(layer: Recurrent) -> None:
    register_parametrization(layer.cell.g, "W_h", torch.nn.Tanh())


def derived(layer: Recurrent) -> None:
    class Derived(torch.Tensor):
        pass

    layer.cell.g.W_h.data = torch.randn(19, 19, dtype=torch.float64)
    layer.cell.g.W_h = torch.nn.Parameter(layer.cell.g.W_h.data.as_subclass(Derived))


def hooked(layer: Recurrent) -> None:
    layer.cell.g.register_forward_hook(lambda module, given, found: found / 2)


EDITS = [transposed, transposed_in_place, moved_within_its_storage, expanded, tied, loaded, assigned, optimised]
EDITS += [parametrized, derived, hooked]


@torch.no_grad()
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_the_next_step_sees_an_edit(edit: Callable[[Recurrent], None]) -> None:
    layer, x = stepped("lstm", 1)
    state = LSTMState(*torch.randn(2, 1, 19, dtype=torch.float64))
    before, _ = layer.step(x[:, 0], state)
    edit(layer)
    for _ in range(2):
        assert_same_step(layer, x[:, 0], state)
    assert not torch.allclose(layer.step(x[:, 0], state)[0], before, rtol=1e-9)


@torch.no_grad()
@pytest.mark.parametrize("stream", [False, True])
def test_a_step_looks_at_what_it_is_given(stream: bool) -> None:
    layer, x = stepped("lstm", 2)
    state = LSTMState(*torch.randn(2, 2, 19, dtype=torch.float64))
    opened = layer.stream(2, state)

    def step(x: torch.Tensor, state: LSTMState) -> torch.Tensor:
        opened.state = state
        return opened.step(x) if stream else layer.step(x, state)[0]

    want = step(x[:, 0], state)
    wide = torch.randn(2, 9, dtype=torch.float64)
    wide[:, 2:7] = x[:, 0]
    apart = LSTMState(*(torch.stack([leaf, leaf], dim=2)[..., 1] for leaf in state))
    assert torch.equal(step(wide[:, 2:7], apart), want)
    assert torch.equal(step(x[:, 0].clone().requires_grad_(), state), want)
    with torch.inference_mode():
        inside = step(x[:, 0], state)
    assert torch.equal(inside, want) and torch.equal(step(inside[:, :5], state), step(want[:, :5], state))
    with pytest.raises((RuntimeError, ValueError)):
        step(x[:, 0].float(), state)
    with pytest.raises((RuntimeError, ValueError)):
        step(x[:1, 0], state)
    assert torch.equal(step(x[:, 0], state), want)


@torch.no_grad()
@pytest.mark.parametrize("steps", [1, 3])
def test_threads_may_step_the_same_layer(steps: int) -> None:
    layer, x = stepped("gru", 3)

    def run(seed: int) -> torch.Tensor:
        with torch.no_grad():
            state = layer.initial_state(3)._replace(h=torch.full((3, 19), seed / 9, dtype=torch.float64))
            for t in range(200):
                output, state = layer(x[:, t % 4 : t % 4 + steps], state)
        return output

    want = [run(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as threads:
        assert all(map(torch.equal, threads.map(run, range(8)), want))


@torch.no_grad()
def test_without_the_exchange_interface_steps_go_the_ordinary_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.recurrence.stream.handover", lambda: None)
    layer, x = layer_and_sequence("lstm", torch.float64, 2)
    layer(x)
    state = LSTMState(*torch.randn(2, 2, 19, dtype=torch.float64))
    for _ in range(3):
        assert_same_step(layer, x[:, 0], state)
    assert layer.plans.stepper is None
    stream = layer.stream(2, state)
    torch.testing.assert_close(stream.step(x[:, 0]), layer.cell(x[:, 0], state)[0], rtol=0, atol=1e-14)


@torch.no_grad()
def test_steps_of_other_rows_and_strides_take_turns() -> None:
    layer, x = stepped("lstm", 4)
    stepper = layer.plans.stepper
    for rows in (1, 4, 2, 1, 3):
        state = LSTMState(*torch.randn(2, 19, rows, dtype=torch.float64).transpose(1, 2))
        assert_same_step(layer, x[:rows, 0], state)
        assert_same_step(layer, x[:rows].transpose(1, 2)[..., 1], state)
    assert layer.plans.stepper is stepper


@torch.no_grad()
@pytest.mark.parametrize("name", ["elman", "lstm", "slstm"])
def test_what_a_step_gives_may_be_edited_in_place(name: str) -> None:
    layer, x = stepped(name, 2)
    for run in (lambda: layer.step(x[:, 0], layer.initial_state(2)), lambda: layer(x[:, :1], layer.initial_state(2))):
        output, state = run()
        kept = output.clone()
        for leaf in tensors(state):
            leaf.zero_()
        assert torch.equal(output, kept)


@torch.no_grad()
def test_what_calls_of_many_forms_work_in_is_bounded() -> None:
    torch.manual_seed(0)
    layer = Recurrent(CELLS["lstm"](64, 256))
    state = layer.initial_state(300)
    for _ in range(2):
        layer(torch.randn(300, 1, 64), state)
    for rows in range(300, 100, -1):
        x, begin = torch.randn(rows, 64), layer.initial_state(rows)
        found, _ = layer.step(x, begin)
        torch.testing.assert_close(found, layer.cell(x, begin)[0], rtol=0, atol=2e-6)
    known = layer.plans.stepper._calls._last._local.known
    assert 0 < known._held == sum(ready.size for ready, _ in known._found.values()) <= 16 << 20
