import pytest
import torch
from torch import nn

from recurra.cells import LSTMP, LSTMPState, from_torch, to_torch
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import fill, randomised, scalar


def close(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_equals_torch_with_the_weights_put_in_by_hand():
    torch.manual_seed(0)
    peer = nn.LSTM(3, 5, proj_size=2, batch_first=True, dtype=torch.float64)
    cell = LSTMP(3, 5, projection_size=2).to(torch.float64)
    with torch.no_grad():
        for rows, gate in zip(range(0, 20, 5), (cell.i, cell.f, cell.g, cell.o), strict=True):
            gate.W_x.copy_(peer.weight_ih_l0[rows : rows + 5])
            gate.W_h.copy_(peer.weight_hh_l0[rows : rows + 5])
            gate.b.copy_((peer.bias_ih_l0 + peer.bias_hh_l0)[rows : rows + 5])
        cell.W_hm.copy_(peer.weight_hr_l0)
    x, h, s = (torch.randn(2, *shape, dtype=torch.float64) for shape in ((20, 3), (2,), (5,)))
    outputs, last = Recurrent(cell)(x, LSTMPState(h, s))
    want, (h, s) = peer(x, (h[None], s[None]))
    close(outputs, want)
    close(last.h, h[0])
    close(last.s, s[0])


def test_a_stack_in_both_directions_computes_what_torch_does():
    torch.manual_seed(0)
    peer = nn.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2, batch_first=True, dtype=torch.float64)
    below = x = torch.randn(2, 20, 3, dtype=torch.float64)
    for k in range(2):
        forward, _ = Recurrent(from_torch(peer, k))(below)
        backward, _ = Recurrent(from_torch(peer, k, reverse=True))(below.flip(1))
        below = torch.cat([forward, backward.flip(1)], dim=-1)
    close(below, peer(x)[0])


def test_to_torch_computes_the_same_and_back_is_exact():
    torch.manual_seed(0)
    cell, x = randomised(LSTMP(3, 5)), torch.randn(2, 20, 3, dtype=torch.float64)
    peer = to_torch(cell)
    close(peer(x)[0], Recurrent(cell)(x)[0])
    back = from_torch(peer).state_dict()
    assert back.keys() == cell.state_dict().keys()
    assert all(torch.equal(back[key], weight) for key, weight in cell.state_dict().items())


def test_torch_projects_to_fewer_only():
    with pytest.raises(ValueError, match="smaller than hidden_size"):
        to_torch(LSTMP(3, 5, projection_size=5))


def test_an_output_is_the_projection_and_half_as_wide_where_nothing_is_said():
    cell = fill(LSTMP(1, 1, projection_size=2), o_b=1000.0, W_hm=3.0)
    x, s = scalar(0.0, 4.0)
    h, state = cell(x, LSTMPState(torch.zeros(1, 2, dtype=torch.float64), s))
    assert h.tolist() == [[3 * torch.tanh(torch.tensor(2.0, dtype=torch.float64)).item()] * 2]  # f 0.5
    assert (LSTMP(2, 6).output_size, LSTMP(2, 7).output_size, LSTMP(2, 1).output_size) == (3, 4, 1)
    with pytest.raises(ValueError, match="projection_size must be at least 1, got 0"):
        LSTMP(2, 3, projection_size=0)


def test_no_part_of_the_state_is_taken_for_the_other():
    cell = LSTMP(2, 5, projection_size=3)
    h, s = cell.initial_state(4)
    with pytest.raises(ValueError, match=r"must be \(4, 3\), got \(4, 5\)"):
        cell(torch.zeros(4, 2), LSTMPState(s, h))


def test_forget_gates_start_open():
    cell = LSTMP(2, 3)
    assert (cell.f.b == 1.0).all() and (LSTMP(2, 3, forget_bias=2.5).f.b == 2.5).all() and not cell.i.b.any()
