"""Scores of forecasts, point and probabilistic, through utilsforecast."""

from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recurra.errors import BadInput
from recurra.metrics.score import Score

if TYPE_CHECKING:
    import pandas

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Quantiles that forecasts are scored by; the outermost two bound the interval whose coverage is measured."""

INTERVAL = 80
"""Per cent of the values that are to lie between them."""

UNITS = {
    "MASE": "x seasonal naive",
    "MSE": "deviations^2",
    "MAE": "deviations",
    "CRPS": "deviations",
    "sMAPE": "%",
    f"coverage of {INTERVAL} %": "%",
    "absolute error": "target",
    "squared error": "target^2",
    "pinball": "target",
}
"""Of each loss of :func:`losses`; a deviation is that of a series' training part."""

COVERAGE = f"coverage of {INTERVAL} %"


class Forecasts(NamedTuple):
    """What was said of some windows, and what came; all in the units of the target.

    Args:
        truth: (B, H), NaN where nothing was observed.
        mean: (B, H).
        quantiles: of ``LEVELS`` (B, H, Q); None of forecasts that are points.
        seasonal: mean absolute error of the seasonal naive forecast within what each series was before, (B,).
        deviation: standard deviation of each series' training part, (B,).
    """

    truth: np.ndarray
    mean: np.ndarray
    quantiles: np.ndarray | None
    seasonal: np.ndarray
    deviation: np.ndarray


def losses(found: Forecasts) -> dict[str, np.ndarray]:
    """Each loss of every window, the mean over its steps that were observed: (B,), NaN where there is none.

    Raises:
        BadInput: utilsforecast is not installed.
        ValueError: shapes that do not fit each other, or a forecast that is not finite.
    """
    _check(found)
    try:
        from utilsforecast import losses as library
    except ImportError as error:
        raise BadInput("scores of forecasts need utilsforecast: pip install 'recurra[series]'") from error
    table, model, deviation = _frame(found), ["model"], found.deviation
    absolute, squared = _all(library.mae(table, model), found), _all(library.mse(table, model), found)
    with np.errstate(divide="ignore", invalid="ignore"):
        mase = absolute / np.where(found.seasonal > 0, found.seasonal, np.nan)
    measured = {
        "MASE": mase,
        "MSE": squared / deviation**2,
        "MAE": absolute / deviation,
        "sMAPE": 200 * _all(library.smape(table, model), found),
        "absolute error": absolute,
        "squared error": squared,
    }
    if found.quantiles is None:
        return measured
    pinball = _all(library.mqloss(table, {"model": [f"q{level}" for level in LEVELS]}, np.array(LEVELS)), found)
    ends = {f"q{LEVELS[0]}": f"model-lo-{INTERVAL}", f"q{LEVELS[-1]}": f"model-hi-{INTERVAL}"}
    coverage = 100 * _all(library.coverage(table.rename(columns=ends), model, INTERVAL), found)
    return measured | {"CRPS": 2 * pinball / deviation, COVERAGE: coverage, "pinball": pinball}


def scores(found: dict[str, np.ndarray], signature: str, naive2: dict[str, np.ndarray] | None = None) -> list[Score]:
    """The means over windows; OWA where the losses of the Naive2 forecast of the same windows are given.

    The root is taken of the mean squared error of all windows. The nearer a coverage is to its interval, the better.

    Raises:
        ValueError: no windows.
    """
    if not len(found["MASE"]):
        raise ValueError("no windows were forecast")
    text = f"{signature}|utilsforecast={version('utilsforecast')}"
    means = {name: _mean(values) for name, values in found.items()}
    listed = [Score(name, means[name], unit, name == COVERAGE, text) for name, unit in UNITS.items() if name in means]
    measured = [score for score in listed if not score.name.endswith(" error")]
    measured += [
        Score("MAE", means["absolute error"], "target", False, text),
        Score("RMSE", means["squared error"] ** 0.5, "target", False, text),
    ]
    if naive2 is not None:
        owa = (means["sMAPE"] / _mean(naive2["sMAPE"]) + means["MASE"] / _mean(naive2["MASE"])) / 2
        measured.insert(0, Score("OWA", owa, "x Naive2", False, text))
    return measured


def seasonal_error(history: np.ndarray, season: int) -> float:
    """The mean of \\|y_t - y_{t - season}\\| where both were observed (the scale of MASE); NaN where they never were.

    Source: Hyndman and Koehler (2006), International Journal of Forecasting 22.
    """
    apart = np.abs(history[season:] - history[:-season]) if len(history) > season else np.empty(0)
    apart = apart[~np.isnan(apart)]
    return float(apart.mean()) if len(apart) else float("nan")


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def _check(found: Forecasts) -> None:
    batch, horizon = found.truth.shape
    shapes = [found.mean.shape, found.seasonal.shape, found.deviation.shape]
    if shapes != [(batch, horizon), (batch,), (batch,)]:
        raise ValueError(f"{batch} windows of {horizon} steps, but mean, seasonal and deviation are {shapes}")
    if found.quantiles is not None and found.quantiles.shape != (batch, horizon, len(LEVELS)):
        raise ValueError(f"quantiles are {found.quantiles.shape}, wanted {(batch, horizon, len(LEVELS))}")
    if not np.isfinite(found.mean).all() or not (found.quantiles is None or np.isfinite(found.quantiles).all()):
        raise ValueError("a forecast is not finite")


def _frame(found: Forecasts) -> "pandas.DataFrame":
    """The steps that were observed, one a row; the series of StatsForecast's format are windows here."""
    import pandas

    there = ~np.isnan(found.truth)
    window = np.broadcast_to(np.arange(len(there))[:, None], there.shape)[there]
    columns = {"unique_id": window, "y": found.truth[there], "model": found.mean[there]}
    if found.quantiles is not None:
        columns |= {f"q{level}": found.quantiles[:, :, number][there] for number, level in enumerate(LEVELS)}
    return pandas.DataFrame(columns)


def _all(table: "pandas.DataFrame", found: Forecasts) -> np.ndarray:
    """A value of every window; NaN of those that nothing was observed of."""
    values = np.full(len(found.deviation), np.nan)
    values[table["unique_id"].to_numpy()] = table["model"].to_numpy(np.float64)
    return values
