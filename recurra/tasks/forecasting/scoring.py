"""How good forecasts are: losses of every window of a part, by step and by quantile, whoever forecast them."""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.baselines.naive_forecasts import Forecast, naive2
from recurra.metrics import forecast as metrics
from recurra.metrics.forecast import LEVELS, Forecasts, losses, seasonal_error
from recurra.metrics.score import Score
from recurra.models.forecasting.windows import Windows
from recurra.tasks.forecasting.batches import cuts_of
from recurra.tasks.forecasting.reading import Data, PartName
from recurra.tasks.forecasting.windows import Cuts, make_windows, placed, read_stretches, scaling_of, truths

AT_ONCE = 512
"""Windows that are forecast together."""

LONGEST = 1_000
"""Values that Naive2 looks at, those before the horizon."""

MOST_NAIVE2 = 5_000
"""Windows of which OWA is taken without being asked for; it needs a forecast of each by itself."""

Forecaster = Callable[[Cuts], Forecast]
"""Forecasts of windows in the target's own units."""


class Found(NamedTuple):
    """What forecasts of W windows came to.

    Args:
        losses: each (W,).
        by_step: mean absolute error of each step of the horizon in training deviations, (H,).
        below: the part of the values that lay below each quantile, (Q,); none of points.
    """

    losses: dict[str, np.ndarray]
    by_step: np.ndarray
    below: np.ndarray | None


class Scorer:
    """The windows that a part is scored by, what came of them, and forecasters measured on them.

    Args:
        data: whose part is scored.
        cuts: some of the part's windows; those in whose context nothing was observed are left out.
    """

    def __init__(self, data: Data, part: PartName, cuts: Cuts | None = None) -> None:
        self.data, self.part = data, part
        found = cuts_of(data, part) if cuts is None else cuts
        self.cuts = found.take(_begun(data, found))
        self._seasonal = _seasonal_errors(data, part, self.cuts)
        self._naive2: dict[str, np.ndarray] | None = None
        self._tried_naive2 = False

    def measure(self, forecaster: Forecaster) -> Found:
        """The losses of a forecaster."""
        parts: list[dict[str, np.ndarray]] = []
        errors, counts = np.zeros((2, self.data.meaning.horizon))
        below, points = np.zeros(len(LEVELS)), False
        for begin in range(0, len(self.cuts), AT_ONCE):
            which = slice(begin, begin + AT_ONCE)
            cuts = self.cuts.take(which)
            truth = truths(self.data, cuts)
            mean, quantiles = forecaster(cuts)
            deviation = self.data.deviation[cuts.series]
            parts.append(losses(Forecasts(truth, mean, quantiles, self._seasonal[which], deviation)))
            errors += np.nansum(np.abs(truth - mean) / deviation[:, None], 0)
            counts += (~np.isnan(truth)).sum(0)
            points = quantiles is None
            if quantiles is not None:
                below += (truth[:, :, None] <= quantiles).sum((0, 1))
        every = {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}
        return Found(every, errors / np.maximum(counts, 1), None if points else below / max(counts.sum(), 1))

    def scores(self, found: Found, settings: str = "") -> list[Score]:
        """The scores of what was measured, the leading one first."""
        listed = metrics.scores(found.losses, self.signature(settings), self.naive2())
        leading = self.data.meaning.score
        return sorted(listed, key=lambda score: (score.name.lower(), score.unit == "target") != (leading, False))

    def score(self, forecaster: Forecaster, settings: str = "") -> list[Score]:
        """The scores of a forecaster."""
        return self.scores(self.measure(forecaster), settings)

    def naive2(self) -> dict[str, np.ndarray] | None:
        """The losses of Naive2 on the same windows, where there are not too many, or they are asked for."""
        if not self._tried_naive2:
            self._tried_naive2 = True
            if self.data.meaning.score == "owa" or len(self.cuts) <= MOST_NAIVE2:
                self._naive2 = self.measure(self._forecast_naive2).losses
        return self._naive2

    def signature(self, settings: str = "") -> str:
        """What a score was measured on, and how."""
        digest = hashlib.sha256("".join(self.data.panel.hashes.values()).encode()).hexdigest()[:8]
        meaning = self.data.meaning
        steps = f"horizon={meaning.horizon}|season={meaning.season}"
        count = f"series={len(np.unique(self.cuts.series))}|windows={len(self.cuts)}"
        return "|".join(filter(None, [self.part, f"data={digest}", count, steps, settings]))

    def _forecast_naive2(self, cuts: Cuts) -> Forecast:
        meaning = self.data.meaning
        found = [
            naive2(history, meaning.horizon, meaning.season) for history in whole_histories(self.data, cuts, LONGEST)
        ]
        return Forecast(np.stack(found), None)


def evaluate(model: Any, data: Data, part: PartName) -> list[Score]:
    """Scores of a network on a part."""
    training = model.training
    model.eval()
    found = Scorer(data, part).score(network(model, data))
    model.train(training)
    return found


def whole_histories(data: Data, cuts: Cuts, longest: int) -> list[np.ndarray]:
    """What was observed before each origin, the last ``longest`` steps of it, for forecasters that know no gaps.

    A step without observation has the value before it; steps before the first observation are left out.
    """
    found = []
    for series, origin in zip(cuts.series.tolist(), cuts.origin.tolist(), strict=True):
        values = data.target(series, max(0, origin - longest), origin)
        there = ~np.isnan(values)
        values, there = values[there.argmax() :], there[there.argmax() :]
        found.append(values[np.maximum.accumulate(np.where(there, np.arange(len(values)), 0))])
    return found


def network(model: Any, data: Data, levels: tuple[float, ...] = LEVELS) -> Forecaster:
    """The forecaster that a trained network is; paths are drawn from the seed of the run, anew for every call."""
    config = data.config

    def forecast(cuts: Cuts) -> Forecast:
        if config.model == "autoregressive":
            return of_paths(draw_paths(model, data, cuts, config.paths), levels)
        windows = placed(make_windows(data, cuts, scaling_of(config)), model)
        with torch.no_grad():
            found = model.forecast(windows)
            mean = own_units(found.mean(), windows)
            if config.distribution == "point":
                return Forecast(mean, None)
            return Forecast(
                mean, own_units(found.quantile(torch.tensor(levels, device=windows.target.device)), windows)
            )

    return forecast


def draw_paths(model: Any, data: Data, cuts: Cuts, count: int) -> np.ndarray:
    """Futures of windows, drawn value by value from the seed of the run: (B, count, H), in the target's own units."""
    windows = placed(make_windows(data, cuts, scaling_of(data.config)), model)
    generator = torch.Generator(windows.target.device).manual_seed(data.config.seed)
    with torch.no_grad():
        return own_units(model.sample(windows, windows.horizon, count, generator), windows)


def of_paths(paths: np.ndarray, levels: tuple[float, ...]) -> Forecast:
    """Mean and quantiles of sampled futures (B, N, H)."""
    return Forecast(paths.mean(1), np.moveaxis(np.quantile(paths, levels, axis=1), 0, -1))


def own_units(scaled: Tensor, windows: Windows) -> np.ndarray:
    """Scaled values (B, ...) in the units of the target, float64."""
    shape = (-1, *[1] * (scaled.dim() - 1))
    centre, scale = windows.centre.double().view(shape), windows.scale.double().view(shape)
    return (scaled.double() * scale + centre).cpu().numpy()


def _begun(data: Data, cuts: Cuts) -> np.ndarray:
    """The windows in whose context something was observed."""
    kept = np.zeros(len(cuts), bool)
    for begin in range(0, len(cuts), 16 * AT_ONCE):
        which = slice(begin, begin + 16 * AT_ONCE)
        context = read_stretches(data, cuts.take(which), data.meaning.context, 0)[:, :, 0]
        kept[which] = ~np.isnan(context).all(1)
    return np.flatnonzero(kept)


def _seasonal_errors(data: Data, part: PartName, cuts: Cuts) -> np.ndarray:
    """The scale of MASE of each window: of all that its series was before the part began, (W,)."""
    begin, _ = data.bounds(part)
    series, which = np.unique(cuts.series, return_inverse=True)
    season = data.meaning.season
    found = [seasonal_error(data.target(number, 0, int(begin[number])), season) for number in series.tolist()]
    return np.array(found)[which]
