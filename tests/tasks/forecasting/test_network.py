"""What a residual network that has learnt nothing says, beside the closed form under it."""

import numpy as np
import pytest
import torch

from recurra.tasks.forecasting.config import Config
from recurra.tasks.forecasting.network import build_network
from recurra.tasks.forecasting.windows import Cuts, make_windows
from tests.tasks.forecasting.files import sales


@pytest.mark.parametrize(("residual", "first"), [("last", [-1] * 7), ("seasonal", list(range(-7, 0)))])
def test_a_residual_network_is_on_its_closed_form(read, residual, first):
    options = {"model": "direct", "distribution": "point", "residual": residual, "context": 14, "season": 7}
    options["scaling"] = "series"
    data = read(sales(), **options)
    config = Config(time="date", target="units", group="shop", horizon=7, hidden_size=8, **options)
    network = build_network(config, data.meaning, data).eval()
    for parameter in network.network.output.parameters():
        torch.nn.init.zeros_(parameter)
    windows = make_windows(data, Cuts(np.array([0, 1]), np.array([60, 65])), "series", training=False)
    np.testing.assert_allclose(network.mean(windows), windows.target[:, :14][:, first], atol=1e-5)
