import numpy as np
import pytest
import torch
from torch import nn

from recurra.cells import ElmanState, IndRNN
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import fill, scalar


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_is_torchs_rnn_with_a_diagonal_recurrent_matrix(activation):
    torch.manual_seed(0)
    cell = IndRNN(3, 5, activation=activation).to(torch.float64)
    peer = nn.RNN(3, 5, nonlinearity=activation, batch_first=True, dtype=torch.float64)
    peer.load_state_dict(
        {
            "weight_ih_l0": cell.h.weight,
            "bias_ih_l0": cell.h.bias,
            "weight_hh_l0": torch.diag(cell.u),
            "bias_hh_l0": torch.zeros(5),
        }
    )
    x = torch.randn(2, 20, 3, dtype=torch.float64)
    torch.testing.assert_close(Recurrent(cell)(x)[0], peer(x)[0], rtol=0, atol=1e-12)


def test_one_step_is_the_hand_computed_number():
    cell = fill(IndRNN(1, 1), h_weight=2.0, u=0.5, h_bias=-1.0)
    plus, minus, h = scalar(1.0, -1.0, 3.0)
    assert cell(plus, ElmanState(h))[0].item() == 2.5
    assert cell(minus, ElmanState(h))[0].item() == 0.0


def test_recurrent_weights_start_where_no_gradient_explodes():
    torch.manual_seed(0)
    u = IndRNN(1, 10_000).u.detach().numpy()
    assert u.min() >= 0 and u.max() <= 1
    np.testing.assert_allclose([u.mean(), u.std()], [0.5, 12**-0.5], atol=0.01)
