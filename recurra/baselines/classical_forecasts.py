"""ETS, theta and ARIMA of each series by itself, by statsforecast where it is installed."""

import warnings
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from recurra.baselines.naive_forecasts import Forecast
from recurra.errors import BadInput

NAMES = ("ets", "theta", "arima")

ORDERS: dict[str, Any] = {"max_p": 3, "max_q": 3, "max_P": 1, "max_Q": 1, "approximation": True, "nmodels": 20}
"""Among which ARIMA's orders are searched for: without bounds a series with a season of 24 takes half a minute."""


def installed() -> bool:
    """Whether statsforecast is there."""
    return find_spec("statsforecast") is not None


def classical(
    name: str, histories: Sequence[np.ndarray], horizon: int, season: int, levels: Sequence[float]
) -> Forecast:
    """Forecasts of each history, whose model is chosen and fitted anew.

    Args:
        name: of ``NAMES``.
        histories: (T,) each, all of it observed.
        levels: of the quantiles, symmetric about 0.5.

    Raises:
        BadInput: statsforecast is not installed.
    """
    try:
        from statsforecast import models
    except ImportError as error:
        raise BadInput("ETS, theta and ARIMA need statsforecast: pip install 'recurra[classical]'") from error
    make: Any = {"ets": models.AutoETS, "theta": models.AutoTheta, "arima": partial(models.AutoARIMA, **ORDERS)}[name]
    widths = sorted({round(abs(200 * level - 100)) for level in levels} - {0})
    mean = np.empty((len(histories), horizon))
    quantiles = np.empty((len(histories), horizon, len(levels)))
    for number, history in enumerate(histories):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its optimiser, on series that a model does not suit
            found = make(season_length=season).forecast(y=history.astype(np.float64), h=horizon, level=widths)
        mean[number] = found["mean"]
        for place, level in enumerate(levels):
            width = round(abs(200 * level - 100))
            side = "lo" if level < 0.5 else "hi"
            quantiles[number, :, place] = found[f"{side}-{width}"] if width else found["mean"]
    return Forecast(mean, quantiles)
