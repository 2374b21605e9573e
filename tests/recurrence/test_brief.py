"""Training on short sequences, against the cell's own steps and torch's gradients of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import recurra
from recurra.cells import CELLS
from recurra.layers import Recurrent
from recurra.recurrence.brief import Brief
from recurra.recurrence.cpu import standing
from recurra.recurrence.state import State, map_state, tensors

FUSED = [name for name in CELLS if name != "mlstm"]
ELSEWHERE = {"lru"}
"""Its states are complex: no part of what the program takes."""

BOUND = {torch.float32: 3e-6, torch.float64: 1e-13}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether each gradient that was asked of a brief call was found."""
    found = list[bool]()
    backward = Brief.backward

    def spy(self: Brief, *given: Any) -> Any:
        answer = backward(self, *given)
        found.append(answer is not None)
        return answer

    monkeypatch.setattr(Brief, "backward", spy)
    yield found


def stepped(layer: Recurrent, x: Tensor, state: State) -> tuple[Tensor, State]:
    outputs = []
    for step in x.unbind(1):
        output, state = layer.cell(step, state)
        outputs.append(output)
    return torch.stack(outputs, dim=1), state


def gradients(layer: Recurrent, call: Any, x: Tensor, state: State, last: bool = True) -> list[Tensor]:
    leaves = [x, *tensors(state), *layer.parameters()]
    outputs, end = call(x, state)
    torch.manual_seed(1)
    loss = (outputs * torch.randn(outputs.shape, dtype=x.dtype)).sum()
    if last:
        loss = loss + sum((leaf.abs() * torch.randn(leaf.shape, dtype=x.dtype)).sum() for leaf in tensors(end))
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [outputs.detach(), *(torch.zeros_like(a) if b is None else b for a, b in zip(leaves, found, strict=True))]


def agree(found: list[Tensor], wanted: list[Tensor], bound: float) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert float((one - other).abs().max()) <= bound * max(1.0, float(other.abs().max()))


def layer_of(name: str, dtype: torch.dtype, rows: int, steps: int) -> tuple[Recurrent, Tensor, State]:
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name](21, 37).to(dtype))
    x = torch.randn(rows, steps, 21, dtype=dtype, requires_grad=True)
    state = map_state(lambda leaf: (leaf + 0.3 * torch.randn_like(leaf)).detach(), layer.initial_state(rows))
    return layer, x, map_state(lambda leaf: leaf.requires_grad_(), state)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_those_of_the_steps(name: str, dtype: torch.dtype, ran: list[bool]) -> None:
    for rows, steps in ((1, 2), (3, 7), (5, 4)):
        layer, x, state = layer_of(name, dtype, rows, steps)
        want = gradients(layer, partial(stepped, layer), x, state)
        for _ in range(3):  # checked, found to be short, and short as before
            agree(gradients(layer, layer, x, state), want, steps * BOUND[dtype])
    assert all(ran) and (name in ELSEWHERE) == (ran == [])


def of_module(layer: nn.RNNBase, x: Tensor, hx: Any, weight: Tensor) -> list[Tensor]:
    """The outputs and the gradients of a weighted sum of them."""
    outputs, _ = layer(x, hx)
    leaves = [each for each in (x, *layer.parameters()) if each.requires_grad]
    return [outputs.detach(), *torch.autograd.grad((outputs * weight).sum(), leaves)]


@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bidirectional": True}, {"batch_first": True}])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_gradients_are_those_of_torchs_layers(kind: str, options: dict[str, Any], ran: list[bool]) -> None:
    torch.manual_seed(0)
    theirs = getattr(nn, kind)(24, 40, **options).double()
    ours = getattr(recurra.nn, kind)(24, 40, **options).double()
    ours.load_state_dict(theirs.state_dict())
    weight = torch.randn(6, 5, 40 * (1 + ours.bidirectional), dtype=torch.float64)
    for x in (torch.randn(6, 5, 24, dtype=torch.float64), torch.randn(5, 6, 24, dtype=torch.float64).transpose(0, 1)):
        for given in (x, x.clone().requires_grad_()):
            for _ in range(2):
                agree(of_module(ours, given, None, weight), of_module(theirs, given, None, weight), 1e-13)
    assert ran and all(ran)


def test_frozen_weights_have_no_gradients_and_the_others_do(ran: list[bool]) -> None:
    layer, x, state = layer_of("lstm", torch.float64, 2, 5)
    next(layer.parameters()).requires_grad_(False)
    for _ in range(3):
        for parameter in layer.parameters():
            parameter.grad = None
        outputs, _ = layer(x.detach(), state)
        outputs.square().sum().backward()
        want = [None if p.grad is None else p.grad.clone() for p in layer.parameters()]
        for parameter in layer.parameters():
            parameter.grad = None
        stepped(layer, x.detach(), state)[0].square().sum().backward()
        assert [each is None for each in want] == [p.grad is None for p in layer.parameters()] == [True] + 11 * [False]
        agree([g for g in want if g is not None], [p.grad for p in layer.parameters() if p.grad is not None], 1e-13)
    assert ran == 3 * [True]


def test_only_the_last_state_is_used(ran: list[bool]) -> None:
    layer, x, state = layer_of("gru", torch.float64, 3, 6)
    for _ in range(3):
        (found,) = torch.autograd.grad(sum(leaf.sum() for leaf in tensors(layer(x, state)[1])), [x])
        (want,) = torch.autograd.grad(sum(leaf.sum() for leaf in tensors(stepped(layer, x, state)[1])), [x])
        agree([found], [want], 1e-13)
    assert ran == 3 * [True]


def test_a_gradient_may_be_taken_twice_and_of_a_gradient(ran: list[bool]) -> None:
    layer, x, state = layer_of("elman", torch.float64, 2, 4)
    for call in 3 * [layer]:
        loss = call(x, state)[0].square().sum()
        once, again = (torch.autograd.grad(loss, [x], retain_graph=True)[0] for _ in range(2))
        assert torch.equal(once, again)
        (first,) = torch.autograd.grad(call(x, state)[0].pow(3).sum(), [x], create_graph=True)
        (want,) = torch.autograd.grad(stepped(layer, x, state)[0].pow(3).sum(), [x], create_graph=True)
        agree(
            list(torch.autograd.grad(first.square().sum(), [x])),
            list(torch.autograd.grad(want.square().sum(), [x])),
            1e-12,
        )
    assert ran == 9 * [True]


def test_an_output_that_was_edited_is_not_taken_for_what_it_was() -> None:
    layer, x, state = layer_of("lstm", torch.float64, 2, 4)
    for _ in range(3):
        outputs, _ = layer(x, state)
        with torch.no_grad():
            outputs.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            outputs.sum().backward()


def test_weights_are_read_in_every_call(ran: list[bool]) -> None:
    layer, x, state = layer_of("lstm", torch.float64, 2, 4)
    for _ in range(4):
        agree(gradients(layer, layer, x, state), gradients(layer, partial(stepped, layer), x, state), 1e-12)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
    assert len(ran) == 4 and all(ran)


def test_threads_train_side_by_side(ran: list[bool]) -> None:
    layer, x, state = layer_of("gru", torch.float64, 3, 6)
    want = gradients(layer, layer, x, state)
    inputs = [(x * scale).detach().requires_grad_() for scale in torch.linspace(0.5, 2, 8)]
    wanted = [gradients(layer, layer, each, state) for each in inputs]

    def many(each: Tensor) -> list[list[Tensor]]:
        leaves = [each, *tensors(state), *layer.parameters()]
        return [list(torch.autograd.grad(layer(each, state)[0].sum(), leaves, allow_unused=True)) for _ in range(30)]

    alone = [many(each)[0] for each in inputs]
    with ThreadPoolExecutor(4) as pool:
        for found, want in zip(pool.map(many, inputs), alone, strict=True):
            for each in found:
                assert all(torch.equal(one, other) for one, other in zip(each, want, strict=True) if one is not None)
    assert wanted and all(ran)


def test_a_parameter_of_a_class_of_its_own_goes_another_way(ran: list[bool]) -> None:
    class Own(nn.Parameter):
        pass

    layer, x, state = layer_of("elman", torch.float64, 2, 4)
    layer.cell.h.W_x = Own(layer.cell.h.W_x.data)
    for _ in range(3):
        agree(gradients(layer, layer, x, state), gradients(layer, partial(stepped, layer), x, state), 1e-12)


def test_what_calls_of_many_forms_work_in_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer, calls = Recurrent(CELLS["lstm"](30, 128)), list[Brief]()
    backward = Brief.backward
    monkeypatch.setattr(Brief, "backward", lambda self, *given: calls.append(self) or backward(self, *given))
    for rows in range(1, 100):
        x = torch.randn(rows, 6, 30)
        for call in (layer, lambda x: stepped(layer, x, layer.initial_state(len(x)))):
            layer.zero_grad()
            call(x)[0].sum().backward()
            grads = [p.grad for p in layer.parameters()]
            want = grads if call is layer else want
        agree(want, grads, 1e-5)
    known = calls[-1]._adjoint._local.known
    assert len(calls) > 90 and 0 < len(known._found) <= standing.MOST_KNOWN
    assert known._held == sum(ready.size for ready, _ in known._found.values()) <= standing.MOST_HELD
