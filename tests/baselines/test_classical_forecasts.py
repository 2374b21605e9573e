"""Statistical models of single series: what statsforecast says of them, in our form."""

import numpy as np
import pytest

from recurra.baselines import classical_forecasts
from recurra.errors import BadInput

LEVELS = (0.1, 0.5, 0.9)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", classical_forecasts.NAMES)
def test_quantiles_are_the_ends_of_intervals(name):
    models = pytest.importorskip("statsforecast.models")
    history = 10 + np.tile([0.0, 3, 1, 5], 12) + np.random.default_rng(0).normal(0, 0.3, 48)
    found = classical_forecasts.classical(name, [history, history[:40]], 5, 4, LEVELS)
    of_arima = dict(max_p=3, max_q=3, max_P=1, max_Q=1, approximation=True, nmodels=20)
    make = {"ets": models.AutoETS, "theta": models.AutoTheta, "arima": models.AutoARIMA}[name]
    expected = make(season_length=4, **(of_arima if name == "arima" else {})).forecast(y=history, h=5, level=[80])
    np.testing.assert_allclose(found.mean[0], expected["mean"])
    np.testing.assert_allclose(found.quantiles[0, :, 0], expected["lo-80"])
    np.testing.assert_allclose(found.quantiles[0, :, 1], expected["mean"])
    np.testing.assert_allclose(found.quantiles[0, :, 2], expected["hi-80"])
    assert abs(found.mean[0] - (10 + np.array([0, 3, 1, 5, 0]))).max() < 1


def test_without_statsforecast_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "statsforecast", None)
    with pytest.raises(BadInput, match=r"pip install 'recurra\[classical\]'"):
        classical_forecasts.classical("ets", [np.arange(9.0)], 2, 1, LEVELS)
