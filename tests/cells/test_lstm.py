import math

import pytest
import torch

from recurra.cells import LSTM, LSTMState
from tests.cells.helpers import fill, scalar

LN3 = math.log(3)


def test_one_step_is_the_hand_computed_number():
    cell = fill(LSTM(1, 1), g_b=LN3, i_W_x=LN3, f_W_h=-LN3, o_b=LN3)  # g 0.8, i 0.75, f 0.25, o 0.75
    x, h, s = scalar(1.0, 1.0, 2.0)
    y, state = cell(x, LSTMState(h, s))
    assert state.s.item() == pytest.approx(1.1, abs=1e-15)
    assert y.item() == state.h.item() == pytest.approx(0.75 * math.tanh(1.1), abs=1e-15)


def test_forget_gates_start_open():
    assert (LSTM(2, 3).f.b == 1.0).all() and (LSTM(2, 3, forget_bias=2.5).f.b == 2.5).all()
    for gate in (LSTM(2, 3).g, LSTM(2, 3).i, LSTM(2, 3).o):
        assert not gate.b.any()


def test_a_shut_forget_gate_empties_the_cells():
    cell = LSTM(2, 3, forget_bias=-1000.0)
    state = LSTMState(torch.zeros(1, 3), torch.full((1, 3), 7.0))
    x = torch.randn(1, 2)
    assert torch.equal(cell(x, state)[0], cell(x, cell.initial_state(1))[0])
