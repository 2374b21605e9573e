"""Real-time recurrent learning against backpropagation through the whole sequence, in float64."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recurra import Bidirectional, Recurrent, Stack
from recurra.cells import CELLS, GRU, LSTM, Elman, MinGRU
from recurra.errors import BadInput
from recurra.recurrence import reference
from recurra.recurrence.state import choose, detach, tensors
from recurra.training import Depth, rtrl
from recurra.training.online import rtrl as home
from tests.training.online.helpers import (
    INPUTS,
    ROWS,
    STEPS,
    UNITS,
    by_bptt,
    gradients,
    loss,
    make_cell,
    online,
    stream,
)

TORCH = ["LSTMCell", "GRUCell", "RNNCell"]
ELEMENTWISE = {"indrnn", "sru", "min-gru", "min-lstm", "lru"}


@pytest.mark.parametrize("name", [*CELLS, *TORCH])
def test_gradients_are_those_of_bptt(name):
    cell, x = make_cell(name), stream()
    expected, found = by_bptt(cell, x), online(rtrl, cell, x)
    for parameter in expected:
        torch.testing.assert_close(found[parameter], expected[parameter], rtol=1e-10, atol=1e-10)


def test_several_layers_are_one_cell():
    torch.manual_seed(0)
    for residual in (False, True):
        cell = Depth(LSTM(INPUTS, INPUTS), GRU(INPUTS, INPUTS), residual=residual).double()
        stack = Stack(*map(Recurrent, cell.cells), residual=residual)
        x = stream()
        outputs, _ = stack(x)
        stack.zero_grad()
        torch.stack([loss(outputs[:, step], step) for step in range(STEPS)]).sum().backward()
        expected = gradients(cell)
        found = online(rtrl, cell, x)
        for parameter in expected:
            torch.testing.assert_close(found[parameter], expected[parameter], rtol=1e-10, atol=1e-10)
    with pytest.raises(ValueError, match="at least one"):
        Depth()


@pytest.mark.parametrize("name", CELLS)
def test_memory_is_that_of_the_parameters_where_units_do_not_mix(name):
    cell = make_cell(name)
    learner = rtrl(cell)
    learner(stream()[:, 0])
    state = learner.state_dict()
    kept = sum(value[0].numel() for value in state["memory"].values())
    kinds = len(list(tensors(learner.state)))
    parameters = sum(parameter.numel() for parameter in cell.parameters())
    assert (kept <= kinds * parameters) == (name in ELEMENTWISE)


def test_units_that_an_identity_keeps_apart_for_now_do_mix():
    cell = CELLS["irnn"](INPUTS, UNITS)  # its recurrent weights start as the identity
    learner = rtrl(cell)
    learner(stream()[:, 0].float())
    assert {value.shape[1] for value in learner.state_dict()["memory"].values()} == {UNITS}


class Transposed(nn.Module):
    """Element-wise, but for a weight that lets unit 2 see unit 1."""

    def __init__(self, size: int, leak: bool) -> None:
        super().__init__()
        self.size, self.leak = size, leak
        self.W = nn.Parameter(torch.randn(INPUTS, size))  # its columns are units, as in Keras
        self.u = nn.Parameter(torch.rand(size))
        self.w = nn.Parameter(torch.zeros(()))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.W.new_zeros(batch_size, self.size)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        seen = torch.nn.functional.pad(h[:, 1:2], (2, self.size - 3)) if self.leak else 0
        return torch.tanh(x @ self.W + self.u * h + self.w * seen)


@pytest.mark.parametrize("size", [3, 4, 7])
@pytest.mark.parametrize("leak", [False, True])
def test_one_unit_that_sees_another_is_found(size, leak):
    torch.manual_seed(0)
    cell, x = Transposed(size, leak), stream().float()
    learner = rtrl(cell)
    learner(x[:, 0])
    kept = {name: value.shape[1] for name, value in learner.state_dict()["memory"].items()}
    assert kept["cell.u"] == (size if leak else 1)
    assert kept["cell.W"] == size  # known as the weights of every unit: exact, at the full price
    expected, found = by_bptt(cell.double(), x.double()), online(rtrl, cell, x.double())
    for parameter in expected:
        torch.testing.assert_close(found[parameter], expected[parameter], rtol=1e-10, atol=1e-10)


def test_weights_that_change_on_the_way_leave_the_past_as_it_was():
    """One linear unit: h = w h' + x has dh/dw = h' + w dh'/dw, with the w of each step."""
    cell = Elman(1, 1, activation="identity").double()
    with torch.no_grad():
        cell.h.W_x.fill_(1.0), cell.h.W_h.fill_(0.5), cell.h.b.zero_()
    learner, h, j = rtrl(cell), 0.0, 0.0
    for step, x in enumerate((1.0, -2.0, 3.0)):
        w = cell.h.W_h.item()
        cell.zero_grad()
        learner(torch.tensor([[x]], dtype=torch.float64)).sum().backward()
        h, j = w * h + x, h + w * j
        assert cell.h.W_h.grad is not None and cell.h.W_h.grad.item() == pytest.approx(j, abs=1e-15)
        with torch.no_grad():
            cell.h.W_h += 0.1 * (step + 1)


def test_a_row_goes_back_to_its_start_without_a_past():
    cell, x, rows = make_cell("lstm"), stream(), torch.tensor([True, False])
    state: Any = reference.initial_state(cell, ROWS)
    total = torch.zeros(())
    for step in range(STEPS):
        if step == 3:
            state = choose(rows, detach(reference.initial_state(cell, ROWS)), state)
        output, state = reference.take_step(cell, x[:, step], state)
        total = total + loss(output, step)
    cell.zero_grad()
    total.backward()
    expected = gradients(cell)
    cell.zero_grad()
    learner = rtrl(cell)
    for step in range(STEPS):
        if step == 3:
            learner.reset(rows)
        loss(learner(x[:, step]), step).backward()
    for name, found in gradients(cell).items():
        torch.testing.assert_close(found, expected[name], rtol=1e-10, atol=1e-10)


def test_a_start_of_the_users_own_and_one_backward_for_several_steps():
    cell, x = make_cell("GRUCell"), stream()
    begin = torch.full((ROWS, UNITS), 0.5, dtype=torch.float64)
    state, outputs = begin, []
    for step in range(STEPS):
        state = cell(x[:, step], state)
        outputs.append(state)
    expected = torch.autograd.grad(sum(map(loss, outputs, range(STEPS))), list(cell.parameters()))
    learner = rtrl(cell, initial_state=lambda rows: begin[:rows])
    found = torch.autograd.grad(sum(loss(learner(x[:, step]), step) for step in range(STEPS)), list(cell.parameters()))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert torch.equal(learner.state, state)


def test_what_is_saved_is_enough_to_go_on():
    cell, x = make_cell("peephole-lstm"), stream()
    expected = online(rtrl, cell, x)
    cell.zero_grad()
    first, second = rtrl(cell), rtrl(cell)
    for step in range(3):
        loss(first(x[:, step]), step).backward()
    second.load_state_dict(first.state_dict())
    for step in range(3, STEPS):
        loss(second(x[:, step]), step).backward()
    for name, found in gradients(cell).items():
        assert torch.equal(found, expected[name])


def test_only_what_is_learnt_has_a_memory():
    cell = make_cell("elman")
    cell.h.W_x.requires_grad_(False)
    learner = rtrl(cell)
    loss(learner(stream()[:, 0]), 0).backward()
    assert sorted(learner.state_dict()["memory"]) == ["cell.h.W_h", "cell.h.b"] and cell.h.W_x.grad is None


class Counting(nn.Module):
    """Branches on the numbers it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(INPUTS))

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, INPUTS)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        return state + self.w if x.sum() > 0 else state


class Integers(Counting):
    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, 1, dtype=torch.long)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Bidirectional(Recurrent(Elman(3, 2)), Recurrent(Elman(3, 2))), "bidirectional .* use a forward one"),
        (Recurrent(Elman(3, 2)), "takes a cell, not a Recurrent of them; give it layer.cell"),
        (Integers(), "holds torch.int64, which has no derivative"),
    ],
)
def test_what_cannot_be_learnt_online_is_refused(cell, message):
    with pytest.raises(BadInput, match=message):
        rtrl(cell)


def test_a_step_that_branches_on_its_input_is_refused_at_its_first():
    with pytest.raises(BadInput, match="Counting: its step cannot be differentiated row by row"):
        rtrl(Counting())(torch.ones(2, INPUTS))


def test_sensitivities_too_large_for_this_machine_are_refused(monkeypatch):
    monkeypatch.setattr(home.os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2}[name])
    rtrl(MinGRU(3, 4))(torch.ones(1, 3))  # 2 * (12 + 4) numbers
    with pytest.raises(BadInput, match=r"need \S+ GiB of memory, and this machine has \S+: use snap-1 or uoro"):
        rtrl(LSTM(3, 16))(torch.ones(1, 3))


def test_another_number_of_rows_is_an_error():
    learner = rtrl(MinGRU(3, 4))
    with pytest.raises(ValueError, match="no step"):
        learner.state  # noqa: B018
    learner(torch.ones(2, 3))
    with pytest.raises(ValueError, match="2 rows, got 3"):
        learner(torch.ones(3, 3))
    learner.start(3)
    assert learner(torch.ones(3, 3)).shape == (3, 4)
