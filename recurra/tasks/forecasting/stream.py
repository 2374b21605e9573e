"""Forecasts of a stream of observations, one for each of them, from a state that stands for all that came before."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from recurra.data import standard_input
from recurra.data.series import MISSING
from recurra.errors import BadInput
from recurra.tasks.forecasting.reading import Data
from recurra.tasks.forecasting.windows import Cuts, make_windows, of_time, placed, scaling_of

if TYPE_CHECKING:
    from recurra.tasks.run import Run

INPUT = "standard input"


class Standing(NamedTuple):
    """Where a series stands: the model's state, the step that comes next, and the scale that it keeps."""

    state: Any
    step: int
    centre: float
    scale: float


class Observation(NamedTuple):
    """One line: the name of its series, its time where it states one, and its value, NaN where that is missing."""

    name: str
    time: str | None
    value: float


def stream_forecasts(run: "Run", levels: tuple[float, ...]) -> Iterator[str]:
    """A line after each observation: its series, the time after it, and the mean and quantiles of the value then.

    The run's own series are read once, up to their ends, where the stream goes on; after that a state is all that is
    kept of each. The first line names columns as those trained on; where the run has one series, lines of values alone
    will do.

    Raises:
        BadInput: a line that cannot be read, is of another series, or is not the next step of its own; the model reads
            covariates, which a stream does not have.
    """
    data: Data = run.data
    columns = data.meaning.columns
    if columns.known or columns.past:
        raise BadInput(f"{run.path}: reads covariates, which a stream does not have; give a table, or train without")
    if run.config.residual != "none" or run.config.model == "window" or run.config.patch > 1:
        raise BadInput(
            f"{run.path}: has no state after each step; train a recurrent model, without --residual or --patch"
        )
    standing: dict[str, Standing] = {}
    read: Callable[[str, int], Observation] | None = None
    shown = levels if run.config.distribution != "point" else ()
    yield ",".join(["unique_id", "ds", "mean", *(f"q{level:g}" for level in shown)]) + "\n"
    for number, line in enumerate(standard_input.lines(), start=1):
        if not line.strip():
            continue
        if read is None:
            read, titles = _reader(data, line)
            if titles:
                continue
        found = read(line, number)
        series = data.panel.numbers.get(found.name)
        if series is None:
            raise BadInput(f"{INPUT}: line {number}: the run knows no series {found.name!r}; train with it")
        if found.name not in standing:
            standing[found.name] = _begin(run, data, series)
        _check_time(data, series, standing[found.name].step, found, number)
        standing[found.name], mean, quantiles = _go_on(run, data, series, standing[found.name], found.value, levels)
        after = data.meaning.grid.times(data.panel.starts[[series]], np.array([standing[found.name].step]))
        cells = [found.name, data.meaning.grid.written(after)[0], *(f"{value:.7g}" for value in (mean, *quantiles))]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        yield text.getvalue()


def _begin(run: "Run", data: Data, series: int) -> Standing:
    end = int(data.panel.observed[series])
    windows = make_windows(data, Cuts(np.array([series]), np.array([end])), scaling_of(run.config))
    state = run.model.begin(placed(windows, run.model))
    return Standing(state, end, float(windows.centre[0]), float(windows.scale[0]))


def _go_on(
    run: "Run", data: Data, series: int, standing: Standing, value: float, levels: tuple[float, ...]
) -> tuple[Standing, float, list[float]]:
    """Where a series stands after a value, and the mean and quantiles of the next one."""
    step, weights = standing.step + 1, next(run.model.parameters())
    at_once = run.config.model == "direct"
    steps = step + np.arange(data.meaning.horizon if at_once else 1)[None]
    known = torch.from_numpy(of_time(data.meaning, data.panel.starts[[series]], steps))
    known = known.to(weights.device, weights.dtype)
    scaled = torch.tensor([(value - standing.centre) / standing.scale], device=weights.device, dtype=weights.dtype)
    distribution, state = run.model.step(scaled, known if at_once else known[:, 0], standing.state)
    first = (0, 0) if at_once else (0,)
    found = [distribution.mean()[first]]
    if run.config.distribution != "point":
        found += distribution.quantile(torch.tensor(levels, device=weights.device))[first]
    mean, *quantiles = (float(each) * standing.scale + standing.centre for each in found)
    return Standing(state, step, standing.centre, standing.scale), mean, quantiles


def _reader(data: Data, first: str) -> tuple[Callable[[str, int], Observation], bool]:
    """What reads a line, and whether the first one holds names of columns."""
    columns = data.meaning.columns
    names = [name.strip() for name in first.split(",")]
    target = columns.target[0] if len(columns.target) == 1 else "y"
    if len(data.panel) == 1 and len(names) == 1 and names != [target]:
        only = data.panel.names[0]
        return lambda line, number: Observation(only, None, _value(line, number)), False
    group = columns.group or (() if len(data.panel) == 1 else ("unique_id",))
    for name in (target, *group):
        if name not in names:
            raise BadInput(f"{INPUT}: line 1 names no column {name!r}; begin with a line of names, as {target},…")
    time = columns.time if columns.time in names else None

    def read(line: str, number: int) -> Observation:
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(names):
            raise BadInput(f"{INPUT}: line {number}: {len(cells)} cells where {len(names)} are named; mend it")
        found = dict(zip(names, cells, strict=True))
        name = "/".join(found[each] for each in group) if group else data.panel.names[0]
        return Observation(name, found[time] if time else None, _value(found[target], number))

    return read, True


def _value(text: str, number: int) -> float:
    if text.strip().lower() in MISSING:
        return float("nan")
    try:
        value = float(text)
    except ValueError as error:
        raise BadInput(
            f"{INPUT}: line {number}: {text.strip()[:40]!r} is no number; mend it, or leave it empty"
        ) from error
    if np.isinf(value):
        raise BadInput(f"{INPUT}: line {number}: the value is infinite; mend it, or leave it empty")
    return value


def _check_time(data: Data, series: int, step: int, found: Observation, number: int) -> None:
    if found.time is None:
        return
    grid = data.meaning.grid
    expected = int(grid.times(data.panel.starts[[series]], np.array([step]))[0])
    if grid.read(found.time, f"{INPUT}: line {number}:") != expected:
        shown = grid.written(np.array([expected]))[0]
        raise BadInput(
            f"{INPUT}: line {number}: {found.time} of the series {found.name!r} is not the step after the one before, "
            f"{shown}; give every step, its value empty where nothing was observed"
        )
