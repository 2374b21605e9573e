"""The window encoder beside its equation."""

import numpy as np
import pytest
import torch

from recurra.baselines.window_encoder import WindowEncoder


def test_it_sees_the_last_steps_alone():
    torch.manual_seed(0)
    layer = WindowEncoder(3, 5, 2)
    x = torch.randn(4, 6, 3)
    h, state = layer(x, reset=torch.zeros(4, 6, dtype=torch.bool))
    weight, bias = (each.detach().numpy() for each in (layer.hidden_layer.weight, layer.hidden_layer.bias))
    last = np.concatenate([x[:, 4].numpy(), x[:, 5].numpy()], 1)
    np.testing.assert_allclose(h[:, -1].detach().numpy(), np.tanh(last @ weight.T + bias), rtol=1e-5, atol=1e-6)
    assert h.shape == (4, 6, 5) and state is None
    x[:, :4] += 1
    torch.testing.assert_close(layer(x)[0], h)
    with pytest.raises(ValueError, match="a window of 2 steps needs as many, got 1"):
        layer(x[:, :1])
    with pytest.raises(ValueError, match="at least 1"):
        WindowEncoder(3, 5, 0)
