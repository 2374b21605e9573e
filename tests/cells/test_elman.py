import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recurra.cells import Elman, ElmanState
from recurra.errors import BadInput
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import fill, scalar


def test_one_step_is_the_hand_computed_number():
    x, h = scalar(0.25, 1.0)
    for activation, want in {"sigmoid": 0.5, "identity": 0.0, "tanh": 0.0, "relu": 0.0}.items():
        cell = fill(Elman(1, 1, activation=activation), h_W_x=2.0, h_W_h=-1.0, h_b=0.5)
        assert cell(x, ElmanState(h))[0].item() == want
    cell = fill(Elman(1, 1, activation="sigmoid"), h_W_x=2.0, h_W_h=3.0, h_b=0.5)
    assert cell(x, ElmanState(h))[0].item() == pytest.approx(0.9820137900379085, abs=1e-15)  # 1 / (1 + e^-4)


def test_an_unknown_activation_names_the_nearest():
    with pytest.raises(BadInput, match="did you mean 'sigmoid'"):
        Elman(1, 1, activation="sigmoyd")


def xor_stream(rows, triples):
    pairs = torch.randint(2, (rows, triples, 2))
    return torch.cat([pairs, pairs.sum(-1, keepdim=True) % 2], dim=-1).flatten(1).float()


def test_temporal_xor_is_learnt_up_to_its_ceiling():
    """Elman's (1990) stream: two random bits, then their XOR; the next bit can be known at every third step alone."""
    torch.manual_seed(1)
    layer, readout = Recurrent(Elman(1, 16)), nn.Linear(16, 1)
    optimiser = torch.optim.Adam([*layer.parameters(), *readout.parameters()], lr=0.02)

    def predict(bits):
        return readout(layer(bits[:, :-1, None])[0]).squeeze(-1)

    for _ in range(200):
        bits = xor_stream(64, 5)
        loss = F.binary_cross_entropy_with_logits(predict(bits), bits[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    bits = xor_stream(1000, 20)
    right = ((predict(bits) > 0) == bits[:, 1:].bool()).double().mean(0)
    first, xor, second = right[2::3].mean(), right[1::3].mean(), right[0::3].mean()
    assert xor > 0.99
    assert first == pytest.approx(0.5, abs=0.02) and second == pytest.approx(0.5, abs=0.02)
    assert (first + xor + second) / 3 == pytest.approx(2 / 3, abs=0.015)
