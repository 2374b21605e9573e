"""Ω against the paper's equations by hand, dense Jacobians of single steps, and finite differences."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recurra.cells import CELLS
from recurra.errors import BadInput
from recurra.layers import CRF, Bidirectional, LearntState, Recurrent, Stack, Zoneout
from recurra.recurrence.reference import take_step
from recurra.recurrence.state import map_state, tensors
from recurra.training.penalties.gradient_flow import GradientFlow

ROWS, STEPS, INPUTS, HIDDEN = 2, 5, 3, 4
RESET = torch.tensor([[False, False, True, False, False], [False] * 5])
LENGTHS = torch.tensor([5, 3])


@pytest.fixture(autouse=True)
def in_float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def layer_of(name: str) -> Recurrent:
    return Recurrent(CELLS[name](INPUTS, HIDDEN))


def watched(layer: nn.Module, x: Tensor, *given: Any, **more: Any) -> Tensor:
    """Ω of the loss Σ cos(outputs) · (1, 2, …), whose errors differ from step to step."""
    flow = GradientFlow(layer)
    with flow.watching():
        outputs, _ = layer(x, *given, **more)
    loss_of(outputs).backward()
    return flow.omega()


def loss_of(outputs: Tensor) -> Tensor:
    return (outputs.cos() * torch.arange(1, 1 + outputs[0].numel()).view_as(outputs[0])).sum()


class PaperModel(nn.Module):
    """x_t = W σ(x_{t-1}) + W_in u_t + b: the paper's equation 2, whose state is the drive."""

    input_size = INPUTS

    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.randn(HIDDEN, HIDDEN))
        self.W_in = nn.Parameter(torch.randn(HIDDEN, INPUTS))
        self.b = nn.Parameter(torch.randn(HIDDEN))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.b.new_zeros(batch_size, HIDDEN)

    def forward(self, u: Tensor, x: Tensor) -> Tensor:
        return torch.tanh(x) @ self.W.T + u @ self.W_in.T + self.b


def test_the_paper_by_hand() -> None:
    cell, u = PaperModel(), torch.randn(1, STEPS, INPUTS)
    omega = watched(Recurrent(cell), u)
    for parameter in cell.parameters():
        parameter.grad = None
    omega.backward()

    W, W_in, b = (parameter.detach().numpy() for parameter in (cell.W, cell.W_in, cell.b))
    states = [W @ np.zeros(HIDDEN) + W_in @ u[0, 0].numpy() + b]
    for t in range(1, STEPS):
        states.append(W @ np.tanh(states[-1]) + W_in @ u[0, t].numpy() + b)
    weights = np.arange(1, 1 + STEPS * HIDDEN).reshape(STEPS, HIDDEN)
    direct = -np.sin(states) * weights
    error, expected, slope = direct[-1], 0.0, np.zeros_like(W)
    for k in reversed(range(STEPS - 1)):
        derivative = 1 - np.tanh(states[k]) ** 2
        back = (error @ W) * derivative  # equation 10: ∂E/∂x_{k+1} W diag(σ'(x_k))
        norms = np.linalg.norm(back), np.linalg.norm(error)
        ratio = norms[0] / norms[1]
        expected += (ratio - 1) ** 2
        slope += 2 * (ratio - 1) * np.outer(error, back * derivative) / (norms[0] * norms[1])
        error = direct[k] + back
    assert omega.item() == pytest.approx(expected, rel=1e-12)
    assert cell.W.grad is not None
    np.testing.assert_allclose(cell.W.grad.numpy(), slope, rtol=1e-10, atol=1e-13)
    assert not any(p.grad is not None and p.grad.any() for p in (cell.W_in, cell.b))


def unrolled(layer: Recurrent, x: Tensor) -> list[tuple[Any, list[Tensor]]]:
    """States before the steps from the second on, and the errors after them, of one row, by a loop of single steps."""
    state, states, outputs = layer.initial_state(1), [], []
    for each in x.unbind(1):
        output, state = take_step(layer.cell, each, state)
        state = map_state(lambda leaf: leaf.clone(), state)  # what the next step reads, apart from what is put out
        for leaf in tensors(state):
            leaf.retain_grad()
        states.append((state, output))
        outputs.append(output)
    for output in outputs:
        output.retain_grad()
    loss_of(torch.stack(outputs, 1)).backward()
    found = []
    for (before, _), (after, output) in zip(states, states[1:], strict=False):
        errors = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.clone() for leaf in tensors(after)]
        same = [torch.equal(leaf, output) for leaf in tensors(after)]
        if any(same):  # an output that is a part of the state
            errors[same.index(True)] = output.grad  # its clone's gradient has come through it
        found.append((map_state(Tensor.detach, before), errors))
    return found


def by_jacobians(layer: Recurrent, x: Tensor, links: list[tuple[Any, list[Tensor]]]) -> float:
    """Ω of one row, each step's Jacobian written out."""
    total = 0.0
    for t, (before, errors) in enumerate(links, start=1):
        leaves = list(tensors(before))

        def step(*given: Tensor, before: Any = before, t: int = t) -> tuple[Tensor, ...]:
            parts = iter(given)
            return tuple(tensors(take_step(layer.cell, x[:, t], map_state(lambda _: next(parts), before)).state))

        blocks = torch.autograd.functional.jacobian(step, tuple(leaves))
        rows = [torch.cat([b.reshape(e.numel(), -1) for b in row], 1) for row, e in zip(blocks, errors, strict=True)]
        jacobian, error = torch.cat(rows), torch.cat([e.flatten() for e in errors])
        if error.any():
            total += (torch.linalg.norm(error @ jacobian) / torch.linalg.norm(error) - 1).item() ** 2
    return total


@pytest.mark.parametrize(
    "name", ["elman", "lstm", "peephole-lstm", "gru", "layer-norm-lstm", "lru", "min-gru", "sru", "slstm", "mlstm"]
)
def test_any_cell(name: str) -> None:
    layer, x = layer_of(name), torch.randn(1, STEPS, INPUTS)
    links = unrolled(layer, x)
    omega = watched(layer, x)
    assert omega.item() == pytest.approx(by_jacobians(layer, x, links), rel=1e-9)
    layer.zero_grad()
    omega.backward()
    for parameter in layer.cell.parameters():
        place, step = torch.zeros_like(parameter).flatten(), 1e-6
        place[place.numel() // 2] = step
        with torch.no_grad():
            moved = []
            for sign in (1, -1):
                parameter.add_(sign * place.view_as(parameter))
                moved.append(by_jacobians(layer, x, links))
                parameter.sub_(sign * place.view_as(parameter))
        slope = 0.0 if parameter.grad is None else parameter.grad.flatten()[place.numel() // 2].item()
        assert slope == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", ["elman", "lstm", "lru"])
def test_ragged_rows_with_resets_are_their_pieces(name: str) -> None:
    layer, x = layer_of(name), torch.randn(ROWS, STEPS, INPUTS)
    together = watched(layer, x, lengths=LENGTHS, reset=RESET)
    weights = torch.arange(1, 1 + STEPS * layer.cell.output_size).view(1, STEPS, -1)
    apart = 0.0
    for row, first, last in ((0, 0, 2), (0, 2, 5), (1, 0, 3)):
        flow = GradientFlow(layer)
        with flow.watching():
            outputs, _ = layer(x[row : row + 1, first:last])
        (outputs.cos() * weights[:, first:last]).sum().backward()
        apart += flow.omega().item()
    assert together.item() * ROWS == pytest.approx(apart, rel=1e-12)


def test_calls_that_go_on_from_each_other_and_single_steps_are_one_call() -> None:
    layer, x = layer_of("gru"), torch.randn(ROWS, STEPS, INPUTS)
    whole = watched(layer, x).item()
    flow = GradientFlow(layer)
    with flow.watching():
        first, state = layer(x[:, :2])
        rest, _ = layer(x[:, 2:], state)
    loss_of(torch.cat([first, rest], 1)).backward()
    assert flow.omega().item() == pytest.approx(whole, rel=1e-12)
    with flow.watching():
        state, outputs = layer.initial_state(ROWS), []
        for each in x.unbind(1):
            output, state = layer.step(each, state)
            outputs.append(output)
    loss_of(torch.stack(outputs, 1)).backward()
    assert flow.omega().item() == pytest.approx(whole, rel=1e-12)


def test_a_carried_state_is_where_errors_end_and_a_learnt_one_is_not() -> None:
    x, cell = torch.randn(ROWS, 1, INPUTS), CELLS["lstm"](INPUTS, HIDDEN)
    assert watched(Recurrent(cell), x).item() == 0
    assert watched(Recurrent(cell), x, cell.initial_state(ROWS)).item() == 0
    assert watched(Recurrent(cell, initial_state=LearntState(cell)), x).item() > 0


def test_layers_and_directions_add_up() -> None:
    x = torch.randn(ROWS, STEPS, INPUTS)
    one, other, top = layer_of("elman"), layer_of("gru"), Recurrent(CELLS["lstm"](2 * HIDDEN, HIDDEN))
    stack = Stack(Bidirectional(one, other), top)
    plain, _ = stack(x)
    flow = GradientFlow(stack)
    with flow.watching():
        outputs, _ = stack(x)
    torch.testing.assert_close(outputs, plain)
    loss_of(outputs).backward()
    whole = flow.omega()
    parts = [call.term().item() for call in flow._calls]
    assert len(parts) == 3 and whole.item() == pytest.approx(sum(parts))
    whole.backward()
    assert all(
        layer.cell.get_parameter(f"{gate}.W_h").grad.any() for layer, gate in ((one, "h"), (other, "z"), (top, "f"))
    )  # type: ignore[union-attr]
    assert not {"forward", "step"} & (vars(one).keys() | vars(other).keys() | vars(top).keys())


def test_the_masks_that_a_call_has_drawn_are_those_of_its_steps() -> None:
    """Units that zoneout keeps carry errors back as they are: at a rate near one, all of them."""
    layer = Recurrent(Zoneout(CELLS["elman"](INPUTS, HIDDEN), 0.999999))
    x = torch.randn(ROWS, STEPS, INPUTS)
    assert watched(layer, x).item() == pytest.approx(0, abs=1e-24)


def test_a_watched_layer_is_compiled_once() -> None:
    layer = layer_of("lstm")
    flow = GradientFlow(layer)
    for _ in range(3):
        with flow.watching():
            outputs, _ = layer(torch.randn(ROWS, STEPS, INPUTS))
        loss_of(outputs).backward()
        flow.omega().backward()
    (watched,) = flow._watched
    (plan,) = watched.shadow.plans.found
    with flow.watching():
        layer(torch.randn(ROWS, STEPS, INPUTS))
    assert watched.shadow.plans.found[0] is plan and plan.fault is None and plan.lowered is not None


def test_no_error_no_penalty() -> None:
    layer = layer_of("lstm")
    flow = GradientFlow(layer)
    with flow.watching():
        layer(torch.randn(ROWS, STEPS, INPUTS))
    omega = flow.omega()
    assert omega.item() == 0 and not omega.requires_grad


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_size_of_the_loss_does_not_matter(scale: float) -> None:
    """In float32, where the square of an error of 1e-30 is zero."""
    torch.set_default_dtype(torch.float32)
    layer, x = layer_of("lstm"), torch.randn(ROWS, STEPS, INPUTS)
    found = []
    for each in (1.0, scale):
        flow = GradientFlow(layer)
        with flow.watching():
            outputs, _ = layer(x)
        (each * loss_of(outputs)).backward()
        found.append(flow.omega().item())
    assert found[0] == pytest.approx(found[1], rel=1e-4) and found[0] > 0


def test_a_lag_is_learnt_that_descent_alone_does_not() -> None:
    """The first of 20 symbols is to be named at the end, by a simple network whose errors vanish at first."""

    def batch(rows: int) -> tuple[Tensor, Tensor]:
        first, others = torch.randint(2, (rows, 1)), torch.randint(2, 4, (rows, 19))
        return nn.functional.one_hot(torch.cat([first, others], 1), 4).double(), first[:, 0]

    right = []
    for strength in (0.0, 0.1):
        torch.manual_seed(0)
        layer, readout = Recurrent(CELLS["elman"](4, 30)), nn.Linear(30, 2)
        nn.init.normal_(layer.get_parameter("cell.h.W_h"), std=0.1)
        parameters = [*layer.parameters(), *readout.parameters()]
        optimizer, flow = torch.optim.SGD(parameters, lr=0.05), GradientFlow(layer)
        for _ in range(80):
            x, first = batch(20)
            optimizer.zero_grad()
            with flow.watching():
                outputs, _ = layer(x)
            nn.functional.cross_entropy(readout(outputs[:, -1]), first).backward()
            (strength * flow.omega()).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        x, first = batch(500)
        right.append((readout(layer(x)[0][:, -1]).argmax(1) == first).double().mean().item())
    assert right[0] < 0.6 and right[1] > 0.95


@pytest.mark.parametrize("model", [nn.LSTM(2, 3), nn.Linear(2, 3), CRF(4)])
def test_models_whose_steps_cannot_be_watched(model: nn.Module) -> None:
    with pytest.raises(BadInput, match="has no Recurrent layer"):
        GradientFlow(model)
