"""What a forecaster's run shows: how it learnt, forecasts beside what came, errors by step, calibration."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.baselines.naive_forecasts import Forecast
from recurra.metrics.forecast import INTERVAL, LEVELS
from recurra.metrics.score import Score
from recurra.tasks.charts import BLUE, COLOURS, GREY, ORANGE, chart
from recurra.tasks.forecasting.baselines import simple
from recurra.tasks.forecasting.batches import Origins
from recurra.tasks.forecasting.reading import Data, PartName
from recurra.tasks.forecasting.scoring import Found, Scorer, network
from recurra.tasks.forecasting.windows import Cuts, read_stretches, truths
from recurra.tasks.pictures import draw_run, picture_folder

if TYPE_CHECKING:
    from recurra.tasks.run import Run

SHOWN = 2
"""Windows drawn of those whose error is about the median, and of the worst series."""

PICTURED = 2_000
"""Windows that pictures are drawn from: of more than these, so many at even distances."""

WORST = 10
"""Series listed."""

UNITS = {"quantiles": "CRPS", "point": "squared error"}
"""Of the loss of a value, scaled; nats of other distributions."""


def loss_unit(distribution: str) -> str:
    """What the loss of a value is counted in."""
    return UNITS.get(distribution, "nats/value")


def present(run: "Run") -> list[Path]:
    """Draw how the run learnt and, where it has finished, its scores and its forecasts of the test part."""
    pictures = draw_run(run, unit=loss_unit(run.config.distribution), beside=_of_as_many_windows)
    return [*pictures, *_of_part(run, run.data, "test")] if run.folder.finished else pictures


def _of_as_many_windows(one: Score, other: Score) -> bool:
    """Statistical models are scored on a few windows alone, whose mean says nothing beside that of all."""
    counts = [part for score in (one, other) for part in score.signature.split("|") if part.startswith("windows=")]
    return counts[0] == counts[1]


def report(run: "Run", data: Data, part: PartName) -> list[str]:
    """The pictures, drawn of these series, and the series with the greatest errors."""
    scorer = Scorer(data, part, Origins(data, part).all(PICTURED))
    found = scorer.measure(network(run.model, data))
    return [*map(str, _drawn(run, scorer, found)), *_worst(scorer, found)]


def _of_part(run: "Run", data: Data, part: PartName) -> Iterator[Path]:
    scorer = Scorer(data, part, Origins(data, part).all(PICTURED))
    yield from _drawn(run, scorer, scorer.measure(network(run.model, data)))


def _drawn(run: "Run", scorer: Scorer, found: Found) -> Iterator[Path]:
    data, part, folder = scorer.data, scorer.part, picture_folder(run)
    forecaster = network(run.model, data)
    errors = found.losses["MAE"]
    order = np.argsort(np.where(np.isnan(errors), np.inf, errors), kind="stable")
    middle = order[len(order) // 2 :][:SHOWN]
    worst = [number for number, _ in _by_series(scorer, found)[:SHOWN]]
    last = [int(np.flatnonzero(scorer.cuts.series == number)[-1]) for number in worst]
    for kind, windows in (("median", middle), ("worst", np.array(last))):
        for number, window in enumerate(windows.tolist(), start=1):
            cut = scorer.cuts.take(slice(window, window + 1))
            yield draw_fan(folder / f"{kind}-{part}-{number}.png", data, cut, forecaster(cut))
    others = {name: scorer.measure(each).by_step for name, each in simple(data).items()}
    yield draw_by_step(folder / f"steps-{part}.png", {"model": found.by_step, **others})
    if found.below is not None:
        yield draw_calibration(folder / f"calibration-{part}.png", found.below)


def draw_fan(path: Path, data: Data, cut: Cuts, forecast: Forecast) -> Path:
    """One window: what was before it, what came, and between which values it was said to lie."""
    meaning, series, origin = data.meaning, int(cut.series[0]), int(cut.origin[0])
    before = min(origin, max(2 * meaning.horizon, meaning.context))
    history = read_stretches(data, cut, before, 0)[0, :, 0]
    starts = data.panel.starts[[series]]
    x: Any = meaning.grid.shown(meaning.grid.times(starts, np.arange(origin - before, origin + meaning.horizon)))
    past, ahead = x[:before], x[before:]
    with chart(path, width=8.0) as axes:
        if forecast.quantiles is not None:
            for low, shade in zip(range(len(LEVELS) // 2), (0.18, 0.26, 0.34, 0.42), strict=True):
                low_side, high_side = forecast.quantiles[0, :, low], forecast.quantiles[0, :, -1 - low]
                label = f"{INTERVAL} % of the values" if low == 0 else None
                axes.fill_between(ahead, low_side, high_side, color=BLUE, alpha=shade, linewidth=0, label=label)
        axes.plot(past, history, color="black", linewidth=1)
        axes.plot(ahead, truths(data, cut)[0], color="black", linewidth=1.4, label="observed")
        axes.plot(ahead, forecast.mean[0], color=ORANGE, label="forecast")
        axes.axvline(ahead[0], color=GREY, linewidth=1)
        axes.tick_params(axis="x", rotation=20)
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3)
        axes.set_title(data.panel.names[series], loc="left", parse_math=False)
    return path


def draw_by_step(path: Path, curves: dict[str, np.ndarray]) -> Path:
    """The mean absolute error at each step of the horizon, one line a forecaster."""
    with chart(path) as axes:
        for (name, values), colour in zip(curves.items(), COLOURS, strict=False):
            width = 2.2 if name == "model" else 1.2
            axes.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=width, label=name, marker=".")
        axes.set_xlabel("step of the horizon")
        axes.set_ylabel("mean absolute error, training deviations")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
        axes.set_title("Error by step (lower is better)", loc="left")
    return path


def draw_calibration(path: Path, below: np.ndarray) -> Path:
    """How much lay below each quantile, against how much was said to."""
    with chart(path, width=4.8, height=4.6) as axes:
        axes.plot([0, 100], [0, 100], color=GREY, linewidth=1)
        axes.plot([100 * level for level in LEVELS], 100 * below, color=BLUE, marker="o")
        axes.set_xlabel("% said to lie below")
        axes.set_ylabel("% that lay below")
        axes.set_aspect("equal")
        axes.set_title("Calibration", loc="left")
    return path


def _by_series(scorer: Scorer, found: Found) -> list[tuple[int, float]]:
    """Series and their mean error in training deviations, the greatest first."""
    errors, series = found.losses["MAE"], scorer.cuts.series
    known = ~np.isnan(errors)
    numbers, which = np.unique(series[known], return_inverse=True)
    means = np.bincount(which, errors[known]) / np.bincount(which)
    order = np.argsort(-means, kind="stable")
    return [(int(numbers[number]), float(means[number])) for number in order]


def _worst(scorer: Scorer, found: Found) -> Iterator[str]:
    listed = _by_series(scorer, found)
    yield f"the worst of {len(listed)} series, by their mean absolute error in training deviations:"
    for number, error in listed[:WORST]:
        yield f"{scorer.data.panel.place(number)}: {scorer.data.panel.names[number]}: {error:.4g}"
