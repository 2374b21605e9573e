"""torch's cells with the weights of one layer and direction of torch's own sequence layers."""

import torch
from torch import nn

LAYERS = {nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell, nn.RNN: nn.RNNCell}


def cell_of(layer, suffix="l0"):
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = {name: getattr(layer, f"{name}_{suffix}").detach() for name in names}
    cell = LAYERS[type(layer)](weights["weight_ih"].shape[1], layer.hidden_size, dtype=torch.float64)
    cell.load_state_dict(weights)
    return cell


def close(got, want):
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
