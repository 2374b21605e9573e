"""The linear model in closed form of a forecasting problem: a baseline, and what a residual network begins from."""

from collections.abc import Iterator

import numpy as np

from recurra.baselines.linear_forecast import LinearForecast
from recurra.metrics.forecast import LEVELS
from recurra.tasks.forecasting.batches import Origins
from recurra.tasks.forecasting.reading import Data
from recurra.tasks.forecasting.windows import Cuts, Scaling, read_stretches, scales

MOST, AT_ONCE = 100_000, 2_000
"""Windows that it is made from, and those read at a time, which are also the most that a penalty is chosen by."""


def fit_linear(own: Data, scaling: Scaling, length: int) -> LinearForecast:
    """The linear model of the last ``length`` values of the training part, its penalty chosen on the dev part.

    Raises:
        ValueError: no whole window.
    """
    cuts = Origins(own, "train").all(MOST)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for begin in range(0, len(cuts), AT_ONCE):
            yield scaled_pairs(own, cuts.take(slice(begin, begin + AT_ONCE)), scaling, length)

    dev = scaled_pairs(own, Origins(own, "dev").all(AT_ONCE), scaling, length)
    return LinearForecast.fit(batches(), dev, LEVELS)


def scaled_pairs(data: Data, cuts: Cuts, scaling: Scaling, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The last values and the next ones, scaled."""
    values = read_stretches(data, cuts, length, data.meaning.horizon)[:, :, 0]
    centre, scale = scales(data, cuts, values[:, :length], scaling)
    values = (values - centre[:, None]) / scale[:, None]
    return values[:, :length], values[:, length:]
