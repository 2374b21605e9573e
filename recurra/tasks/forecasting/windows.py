"""From series on disk to what a network reads: contexts and horizons side by side, scaled."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from recurra.data.panel.calendar import calendar, turns
from recurra.models.forecasting.windows import Windows
from recurra.tasks.forecasting.config import Config
from recurra.tasks.forecasting.reading import Data, Meaning

Scaling = Literal["window", "series", "none", "mean"]
"""How a context becomes scaled: by its own mean and spread, by those of its series' training part, not at all, or by
its own mean alone."""

CLIPPED = 3.0
"""Deviations that a window's level may lie from that of its series, as a network reads it."""


@dataclass(frozen=True)
class Cuts:
    """Windows by the series that each is of and the first step of its horizon: int64 (B,) both."""

    series: np.ndarray
    origin: np.ndarray

    def __len__(self) -> int:
        return len(self.series)

    def take(self, which: np.ndarray | slice) -> "Cuts":
        return Cuts(self.series[which], self.origin[which])


def read_stretches(data: Data, cuts: Cuts, before: int, behind: int) -> np.ndarray:
    """All columns from ``before`` steps before each origin up to ``behind`` after it: (B, before + behind, D).

    NaN before a series begins and after it ends, and where a value is missing.
    """
    values = data.panel.values
    found = np.full((len(cuts), before + behind, values.features), np.nan)
    for row, series, origin in zip(found, cuts.series.tolist(), cuts.origin.tolist(), strict=True):
        begin, end = max(origin - before, 0), min(origin + behind, int(values.lengths[series]))
        if begin < end:
            row[begin - origin + before : end - origin + before] = values.stretch(series, begin, end)
    return found


def truths(data: Data, cuts: Cuts) -> np.ndarray:
    """What was observed over each horizon, in the target's units, NaN where nothing was: (B, H)."""
    ends = data.split.end[cuts.series]
    found = read_stretches(data, cuts, 0, data.meaning.horizon)[:, :, 0]
    beyond = cuts.origin[:, None] + np.arange(data.meaning.horizon) >= ends[:, None]
    return np.where(beyond, np.nan, found)


def make_windows(
    data: Data, cuts: Cuts, scaling: Scaling, *, training: bool = False, context: int | None = None
) -> Windows:
    """What a network reads of some windows.

    Args:
        training: the horizon's observations too, which prediction never sees.
        context: steps that are read, where they are not the run's.
    """
    meaning = data.meaning
    context, horizon = context or meaning.context, meaning.horizon
    values = read_stretches(data, cuts, context, horizon)
    seen = values[:, : context + horizon if training else context, 0]
    observed = ~np.isnan(seen)
    centre, scale = scales(data, cuts, values[:, :context, 0], scaling)
    target = np.where(observed, (seen - centre[:, None]) / scale[:, None], 0.0)
    dtype = torch.get_default_dtype()
    return Windows(
        torch.from_numpy(target).to(dtype),
        torch.from_numpy(observed),
        torch.from_numpy(_known(data, cuts, values, context)).to(dtype),
        torch.from_numpy(_past(meaning, values[:, :context])).to(dtype),
        torch.from_numpy(_static(data, cuts, centre, scale, scaling)).to(dtype),
        torch.from_numpy(data.group[cuts.series]),
        torch.from_numpy(centre).to(dtype),
        torch.from_numpy(scale).to(dtype),
    )


def placed(windows: Windows, model: nn.Module) -> Windows:
    """The same where a model is, in the arithmetic of its weights."""
    weights = next(model.parameters())
    return Windows(
        *(each.to(weights.device, weights.dtype if each.is_floating_point() else each.dtype) for each in windows)
    )


def scaling_of(config: Config) -> Scaling:
    """How windows are scaled: those of counts by their mean, as they have no centre, and of 0 and 1 not at all."""
    match config.distribution:
        case "negative-binomial":
            return "mean"
        case "bernoulli":
            return "none"
    return config.scaling


class Sizes(NamedTuple):
    """Features of a step and of a series, as :func:`make_windows` gives them."""

    known: int
    past: int
    static: int


def sizes(meaning: Meaning, scaling: Scaling) -> Sizes:
    """How many features there are of each kind."""
    columns = meaning.columns
    of_dates = 2 * len(turns(meaning.grid)) if meaning.calendar else 0
    level = 2 if scaling == "window" else 0
    return Sizes(len(columns.known) + of_dates + 1, 2 * len(columns.past), len(columns.static) + level)


def scales(data: Data, cuts: Cuts, context: np.ndarray, scaling: Scaling) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of each window, float64 (B,); only what lies before the horizon is looked at."""
    size = len(cuts)
    if scaling == "none":
        return np.zeros(size), np.ones(size)
    centre, deviation = data.centre[cuts.series], data.deviation[cuts.series]
    if scaling == "series":
        return centre, deviation
    there = ~np.isnan(context)
    count = np.maximum(there.sum(1), 1)
    mean = np.where(there, context, 0.0).sum(1) / count
    if scaling == "mean":
        return np.zeros(size), np.where(mean > 0, mean, 1.0)
    spread = np.sqrt((np.where(there, context - mean[:, None], 0.0) ** 2).sum(1) / count)
    return mean, np.where(spread > 1e-3 * deviation, spread, deviation)


def _known(data: Data, cuts: Cuts, values: np.ndarray, context: int) -> np.ndarray:
    """Covariates known ahead in units of their spread, the calendar, and the age of the series: (B, U, K)."""
    meaning, columns = data.meaning, len(data.meaning.columns.known)
    mean, spread = meaning.covariates[:columns].T
    steps = cuts.origin[:, None] - context + np.arange(values.shape[1])
    own = np.nan_to_num((values[:, :, 1 : 1 + columns] - mean) / spread)  # NaN before a series begins alone
    return np.concatenate([own, of_time(meaning, data.panel.starts[cuts.series], steps)], 2)


def of_time(meaning: Meaning, starts: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """What is known of steps (B, U) of series that begin at ``starts``: the calendar and the age, (B, U, features)."""
    age = np.log10(2.0 + np.maximum(steps, 0))[:, :, None] / 2 - 1
    if not meaning.calendar:
        return age
    return np.concatenate([calendar(meaning.grid, meaning.grid.times(starts[:, None], steps)), age], 2)


def _past(meaning: Meaning, values: np.ndarray) -> np.ndarray:
    """Covariates of the past in units of their spread, 0 where missing, and whether they are there: (B, C, P)."""
    known, past = len(meaning.columns.known), len(meaning.columns.past)
    mean, spread = meaning.covariates[known : known + past].T
    own = (values[:, :, 1 + known :] - mean) / spread
    return np.concatenate([np.nan_to_num(own), ~np.isnan(own)], 2)


def _static(data: Data, cuts: Cuts, centre: np.ndarray, scale: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Static features in units of their spread and, of windows scaled by themselves, their level in their series."""
    columns = data.meaning.columns
    mean, spread = data.meaning.covariates[len(columns.known) + len(columns.past) :].T
    own = (data.panel.static[cuts.series] - mean) / spread
    if scaling != "window":
        return own
    deviation = data.deviation[cuts.series]
    level = np.stack([(centre - data.centre[cuts.series]) / deviation, np.log(scale / deviation)], 1)
    return np.concatenate([own, np.clip(level, -CLIPPED, CLIPPED)], 1)
