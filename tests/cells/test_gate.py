import math

import pytest
import torch

from recurra.cells import Gate


def test_the_drive_is_the_hand_computed_sum():
    gate = Gate(2, 1, recurrent_size=3, bias=0.5, peephole=True)
    with torch.no_grad():
        gate.W_x.copy_(torch.tensor([[1.0, 2.0]]))
        gate.W_h.copy_(torch.tensor([[3.0, 4.0, 5.0]]))
        gate.p.fill_(6.0)
    drive = gate(torch.tensor([[1.0, 0.5]]), torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[0.25]]))
    assert drive.item() == 1 + 1 + 3 + 10 + 1.5 + 0.5


def test_weights_start_uniform_in_the_bound_and_the_bias_where_it_was_asked():
    torch.manual_seed(0)
    gate = Gate(50, 100, bias=1.5, peephole=True)
    for weight in (gate.W_x, gate.W_h, gate.p):
        assert 0.09 < weight.abs().max() <= 0.1
        assert weight.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.15)
    assert (gate.b == 1.5).all()


def test_a_peephole_without_the_internal_state_is_an_error():
    with pytest.raises(ValueError, match="needs the internal state"):
        Gate(1, 1, peephole=True)(torch.zeros(1, 1), torch.zeros(1, 1))
