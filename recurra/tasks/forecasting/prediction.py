"""What comes next: forecasts of every series as a table in the long format, from its end or as of an earlier date."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.errors import BadInput
from recurra.files import replacing
from recurra.metrics.forecast import LEVELS
from recurra.tasks.forecasting.reading import Data, read_with
from recurra.tasks.forecasting.scoring import draw_paths, network, of_paths
from recurra.tasks.forecasting.stream import stream_forecasts
from recurra.tasks.forecasting.windows import Cuts, read_stretches
from recurra.tasks.sources import Sources

if TYPE_CHECKING:
    import pandas

    from recurra.tasks.run import Run

AT_ONCE = 256
"""Series."""


def predict(
    run: "Run",
    source: str | None,
    *,
    stream: bool,
    as_of: str | None = None,
    quantiles: str | None = None,
    paths: int | None = None,
) -> Iterator[str]:
    """A table as CSV: ``unique_id, ds, mean``, a column for each quantile (``q0.1``) and for each path (``path-1``).

    Args:
        source: a table like those trained on; None for the run's own data; "-" is standard input, an observation a
            line, each answered by the forecast of the value after it.
        as_of: the last date whose observation is known; the last observation of each series where it is None.
        quantiles: levels with commas between them.
        paths: futures to be drawn and given; of an autoregressive model.

    Raises:
        BadInput: the input cannot be read, or lacks covariates known ahead; the model cannot do this.
    """
    levels = read_levels(quantiles)
    if source == "-":
        if as_of is not None or paths is not None:
            raise BadInput("a stream is answered by the next value; leave out --as-of and --paths")
        yield from stream_forecasts(run, levels)
        return
    header = True
    for frame in forecast_frames(run, source, as_of, levels, paths):
        yield frame.to_csv(index=False, header=header, lineterminator="\n")
        header = False


def predict_table(run: "Run", source: str | None, out: Path, **options: Any) -> None:
    """The same as a Parquet file, whole or not at all; ``options`` and errors as of :func:`predict`."""
    import pyarrow
    from pyarrow import parquet

    levels = read_levels(options.get("quantiles"))
    frames = forecast_frames(run, source, options.get("as_of"), levels, options.get("paths"))
    with replacing(out) as part:
        writer = None
        for frame in frames:
            table = pyarrow.Table.from_pandas(frame, preserve_index=False)
            writer = writer or parquet.ParquetWriter(part, table.schema)
            writer.write_table(table)
        assert writer is not None
        writer.close()


def forecast_frames(
    run: "Run", source: str | None, as_of: str | None, levels: tuple[float, ...], paths: int | None
) -> "Iterator[pandas.DataFrame]":
    """Forecasts of some series at a time, in the long format; arguments and errors as of :func:`predict`."""
    if paths is not None and run.config.model != "autoregressive":
        raise BadInput(
            f"--paths: {run.path} forecasts all steps at once and has none; train with --model autoregressive"
        )
    data: Data = run.data if source is None else _read(run, source)
    cuts = origins_as_of(data, as_of)
    for begin in range(0, len(cuts), AT_ONCE):
        some = cuts.take(slice(begin, begin + AT_ONCE))
        check_known(data, some)
        yield _frame(run, data, some, levels, paths)


def _read(run: "Run", source: str) -> Data:
    return read_with(Sources.named([source], None, None), run.config, run.path, parted=False)


def origins_as_of(data: Data, as_of: str | None) -> Cuts:
    """The windows whose horizons follow a date, or else the last observation of each series.

    Raises:
        BadInput: no date, or no series has an observation near enough before it.
    """
    panel, meaning = data.panel, data.meaning
    origins = panel.observed
    if as_of is not None:
        origins = panel.grid.steps_before(panel.starts, panel.grid.read(as_of, "--as-of") + 1)
    known = np.zeros(len(panel), bool)
    for series, origin in enumerate(origins.tolist()):
        begin, end = max(0, origin - meaning.context), min(origin, int(panel.observed[series]))
        known[series] = begin < end and not np.isnan(data.target(series, begin, end)).all()
    if not known.any():
        raise BadInput(
            f"{panel.place(0)}: nothing was observed within {meaning.context} steps up to {as_of or 'the end'}; "
            "choose another --as-of"
        )
    if not known.all():
        first = int(np.argmin(known))
        print(
            f"{panel.place(first)}: the series {panel.names[first]!r} is left out: nothing was observed of it within "
            f"{meaning.context} steps up to {as_of or 'its end'}; so are {int((~known).sum()) - 1} others",
            file=sys.stderr,
        )
    return Cuts(np.flatnonzero(known), origins[known])


def check_known(data: Data, cuts: Cuts) -> None:
    """Nothing, where covariates known ahead are there for all steps of the horizons.

    Raises:
        BadInput: names the first series and step that lacks one.
    """
    count = len(data.meaning.columns.known)
    missing = np.isnan(read_stretches(data, cuts, 0, data.meaning.horizon)[:, :, 1 : 1 + count]).any(2)
    if not missing.any():
        return
    window, step = np.argwhere(missing)[0]
    series, grid = int(cuts.series[window]), data.meaning.grid
    time = grid.written(grid.times(data.panel.starts[[series]], cuts.origin[[window]] + step))[0]
    raise BadInput(
        f"{data.panel.place(series)}: the series {data.panel.names[series]!r}, which begins here, has no covariates "
        f"known ahead ({', '.join(data.meaning.columns.known)}) at {time}; write rows for all {data.meaning.horizon} "
        "steps of the horizon, the target empty"
    )


def _frame(run: "Run", data: Data, cuts: Cuts, levels: tuple[float, ...], paths: int | None) -> "pandas.DataFrame":
    import pandas

    horizon, grid = data.meaning.horizon, data.meaning.grid
    if run.config.model == "autoregressive":
        drawn = draw_paths(run.model, data, cuts, max(paths or 0, run.config.paths))
        found = of_paths(drawn, levels)
    else:
        drawn, found = np.empty((len(cuts), 0, horizon)), network(run.model, data, levels)(cuts)
    steps = cuts.origin[:, None] + np.arange(horizon)
    times = grid.times(data.panel.starts[cuts.series][:, None], steps).reshape(-1)
    names = [data.panel.names[series] for series in cuts.series.tolist()]
    columns: dict[str, Any] = {"unique_id": np.repeat(np.array(names, object), horizon), "ds": grid.shown(times)}
    columns["mean"] = found.mean.reshape(-1)
    if found.quantiles is not None:
        columns |= {f"q{level:g}": found.quantiles[:, :, number].reshape(-1) for number, level in enumerate(levels)}
    columns |= {f"path-{number + 1}": drawn[:, number].reshape(-1) for number in range(paths or 0)}
    return pandas.DataFrame(columns)


def read_levels(text: str | None) -> tuple[float, ...]:
    """Levels of quantiles, ascending.

    Raises:
        BadInput: one is none.
    """
    if text is None:
        return LEVELS
    try:
        levels = tuple(sorted({float(level) for level in text.split(",")}))
    except ValueError as error:
        raise BadInput(f"--quantiles {text}: {error}; give levels as 0.1,0.5,0.9") from error
    if not all(0 < level < 1 for level in levels):
        raise BadInput(f"--quantiles {text}: levels lie between 0 and 1; give them as 0.1,0.5,0.9")
    return levels
