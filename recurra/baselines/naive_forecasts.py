"""The forecasts that take no learning: the last value, last season's values, a straight line, and Naive2."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np


class Forecast(NamedTuple):
    """What is said of B series: the mean (B, H), and quantiles (B, H, Q); None of forecasts that are points."""

    mean: np.ndarray
    quantiles: np.ndarray | None


def naive(history: np.ndarray, horizon: int, levels: tuple[float, ...]) -> Forecast:
    """The last observed value; its error grows as that of a random walk.

    Args:
        history: (B, T), NaN where nothing was observed; at least one value of every row was.
        levels: of the quantiles.

    Source: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, sections 5.2 and 5.5.
    """
    last = _last(history)
    mean = np.repeat(last[:, None], horizon, 1)
    return _normal(mean, _spread(history, 1)[:, None] * np.sqrt(np.arange(1, horizon + 1)), levels)


def seasonal_naive(history: np.ndarray, horizon: int, levels: tuple[float, ...], season: int) -> Forecast:
    """The value of the same place in the last season in which it was observed; the last value where it never was.

    Args and source as of :func:`naive`.
    """
    steps = np.arange(horizon)
    mean = np.full((len(history), horizon), np.nan)
    for back in range(season, history.shape[1] + season, season):  # the last season first
        places = history.shape[1] - back + steps % season
        own = np.where(places >= 0, history[:, np.maximum(places, 0)], np.nan)
        mean = np.where(np.isnan(mean), own, mean)
        if not np.isnan(mean).any():
            break
    mean = np.where(np.isnan(mean), _last(history)[:, None], mean)
    return _normal(mean, _spread(history, season)[:, None] * np.sqrt(steps // season + 1), levels)


def drift(history: np.ndarray, horizon: int, levels: tuple[float, ...]) -> Forecast:
    """The straight line through the first and the last observed value. Args and source as of :func:`naive`."""
    steps, rows = np.arange(history.shape[1]), np.arange(len(history))
    there = ~np.isnan(history)
    first, last = there.argmax(1), history.shape[1] - 1 - there[:, ::-1].argmax(1)
    apart = np.maximum(last - first, 1)
    slope = (history[rows, last] - history[rows, first]) / apart
    ahead = len(steps) - 1 - last[:, None] + np.arange(1, horizon + 1)
    mean = history[rows, last][:, None] + slope[:, None] * ahead
    spread = _spread(history - slope[:, None] * steps, 1)
    return _normal(mean, spread[:, None] * np.sqrt(ahead * (1 + ahead / apart[:, None])), levels)


def naive2(history: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The last value of a series freed of its season, that season put back: the benchmark of the M competitions.

    The season is multiplicative, and there is one where the autocorrelation at its lag is significant (90 %).

    Args:
        history: (T,), all of it observed.

    Returns:
        (H,).

    Source: Makridakis, Spiliotis and Assimakopoulos (2020), International Journal of Forecasting 36; their R code.
    """
    if season > 1 and _is_seasonal(history, season) and (history > 0).all():
        figure = _seasonal_figure(history, season)
    else:
        figure = np.ones(season)
    places = np.arange(len(history), len(history) + horizon) % season
    return history[-1] / figure[(len(history) - 1) % season] * figure[places]


def _is_seasonal(history: np.ndarray, season: int) -> bool:
    if len(history) < 3 * season:
        return False
    apart = history - history.mean()
    power = (apart**2).sum()
    if power == 0:
        return False
    correlation = np.array([(apart[lag:] * apart[:-lag]).sum() / power for lag in range(1, season + 1)])
    limit = 1.645 * np.sqrt((1 + 2 * (correlation[:-1] ** 2).sum()) / len(history))
    return bool(abs(correlation[-1]) > limit)


def _seasonal_figure(history: np.ndarray, season: int) -> np.ndarray:
    """The factor of every place in a season, by classical decomposition with a centred moving average."""
    weights = np.full(season, 1 / season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5] / season
    trend = np.convolve(history, weights, "valid")
    begin = (len(weights) - 1) // 2
    apart = history[begin : begin + len(trend)] / trend
    places = np.arange(begin, begin + len(trend)) % season
    figure = np.bincount(places, apart, season) / np.bincount(places, minlength=season)
    return figure / figure.mean()


def _last(history: np.ndarray) -> np.ndarray:
    there = ~np.isnan(history)
    return history[np.arange(len(history)), history.shape[1] - 1 - there[:, ::-1].argmax(1)]


def _spread(history: np.ndarray, lag: int) -> np.ndarray:
    """The root of the mean squared difference at a lag; of rows where none was observed, 0."""
    apart = history[:, lag:] - history[:, :-lag] if history.shape[1] > lag else np.empty((len(history), 0))
    there = ~np.isnan(apart)
    return np.sqrt((np.where(there, apart, 0.0) ** 2).sum(1) / np.maximum(there.sum(1), 1))


def _normal(mean: np.ndarray, spread: np.ndarray, levels: tuple[float, ...]) -> Forecast:
    marks = np.array([NormalDist().inv_cdf(level) for level in levels])
    return Forecast(mean, mean[:, :, None] + spread[:, :, None] * marks)
