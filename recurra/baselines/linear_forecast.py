"""The linear model of the last values in closed form: what a network on the same window has to beat."""

from collections.abc import Iterable

import numpy as np
import torch

from recurra.baselines.naive_forecasts import Forecast
from recurra.models.forecasting.bases import Ridge

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""Of which one is chosen."""

ENOUGH = 50
"""Windows whose errors say how wide the quantiles are."""

Pairs = tuple[np.ndarray, np.ndarray]
"""The last values of windows (n, L) and the next ones (n, H), NaN where nothing was observed."""


class LinearForecast:
    """Ridge regression from the last L values to the next H, one for all series; levels count from the last value.

    Args:
        weight: (H, L).
        bias: (H,).
        errors: quantiles of what it was wrong by on some windows, (H, Q).

    Source: Zeng et al. (2023), arXiv:2205.13504 (NLinear), here in closed form.
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray, errors: np.ndarray) -> None:
        self.weight, self.bias, self.errors = weight, bias, errors

    @classmethod
    def fit(cls, train: Iterable[Pairs], dev: Pairs, levels: tuple[float, ...]) -> "LinearForecast":
        """The weights of least squared error on ``train``, of the penalty that does best on ``dev``.

        A window of which a next value is missing is left out of ``train``, a value that is missing out of ``dev``. How
        far quantiles lie apart is told by the errors on ``dev``, and on the last batch of ``train`` where it is small.

        Raises:
            ValueError: no whole window.
        """
        ridge: Ridge | None = None
        latest: Pairs | None = None
        for last, following in train:
            whole = ~np.isnan(following).any(1) & ~np.isnan(last).all(1)
            if whole.any():
                values, level = _inputs(last[whole])
                ridge = ridge or Ridge(values.shape[1], following.shape[1])
                ridge.add(torch.from_numpy(values), torch.from_numpy(following[whole] - level))
                latest = last[whole], following[whole]
        if ridge is None or latest is None:
            raise ValueError("no whole window to fit a linear model to")
        tried = [(weight.numpy(), bias.numpy()) for weight, bias in map(ridge.fit, PENALTIES)]
        weight, bias = min(tried, key=lambda found: float(np.nanmean(_errors(found[0], found[1], dev) ** 2)))
        errors = _errors(weight, bias, dev)
        if len(errors) < ENOUGH:
            errors = np.concatenate([errors, _errors(weight, bias, latest)])
        return cls(weight, bias, np.nanquantile(errors, levels, axis=0).T)

    @property
    def parameters(self) -> int:
        return self.weight.size + self.bias.size

    @property
    def length(self) -> int:
        """L, values that it reads."""
        return self.weight.shape[1]

    def forecast(self, last: np.ndarray) -> Forecast:
        """The next values of series, from their last ones (B, L)."""
        values, level = _inputs(last)
        mean = level + values @ self.weight.T + self.bias
        return Forecast(mean, mean[:, :, None] + self.errors)


def _errors(weight: np.ndarray, bias: np.ndarray, pairs: Pairs) -> np.ndarray:
    values, level = _inputs(pairs[0])
    return pairs[1] - level - values @ weight.T - bias


def _inputs(last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values apart from the last observed one, and that level (n, 1).

    In the place of a missing value stands the one before it; 0 before the first.
    """
    place = np.maximum.accumulate(np.where(np.isnan(last), -1, np.arange(last.shape[1])), 1)
    carried = np.take_along_axis(last, np.maximum(place, 0), 1)
    level = carried[:, -1:]
    return np.where(place >= 0, carried - level, 0.0), level
