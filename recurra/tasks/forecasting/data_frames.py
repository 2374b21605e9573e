"""Data frames in and out: the long format of StatsForecast and its relatives, ``unique_id, ds, y``."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.data.panel.frames import needs_series
from recurra.errors import BadInput
from recurra.files import cached, replacing
from recurra.metrics.forecast import LEVELS
from recurra.tasks.forecasting.prediction import forecast_frames

if TYPE_CHECKING:
    import pandas

    from recurra.tasks.run import Run


def as_files(data: Sequence[Any]) -> tuple[str | Path, ...]:
    """Names of files as they are; a data frame (of pandas, polars or pyarrow) as a Parquet file of the cache folder.

    The same content has the same file, so that a run trained on a frame is resumed and evaluated as any other.

    Raises:
        BadInput: something is neither; a package is missing.
    """
    return tuple(each if isinstance(each, str | Path) else _kept(each) for each in data)


def forecast(
    run: "Run",
    data: Any = None,
    *,
    as_of: str | None = None,
    quantiles: Sequence[float] = LEVELS,
    paths: int | None = None,
) -> "pandas.DataFrame":
    """Forecasts as a data frame: ``unique_id, ds, mean``, ``q0.1`` … and ``path-1`` …

    Args:
        data: a data frame or a file like those trained on; the run's own where it is None.
        as_of: the last date whose observation is known.
        quantiles: levels, within 0 and 1.
        paths: futures to be drawn and given; of an autoregressive model.

    Raises:
        BadInput: the data cannot be read, or lack covariates known ahead; the model cannot do this.
    """
    import pandas

    source = None if data is None else str(as_files([data])[0])
    return pandas.concat(list(forecast_frames(run, source, as_of, tuple(quantiles), paths)), ignore_index=True)


def _kept(frame: Any) -> Path:
    needs_series()
    import pandas
    import pyarrow
    from pyarrow import parquet

    if isinstance(frame, pandas.DataFrame):
        named = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
        table = pyarrow.Table.from_pandas(named, preserve_index=False)
    elif hasattr(frame, "__arrow_c_stream__"):
        table = pyarrow.table(frame)
    else:
        raise BadInput(f"{type(frame).__name__}: is no file and no data frame; give one of those")
    content = io.BytesIO()
    parquet.write_table(table, content)
    path = cached("frames") / f"{hashlib.sha256(content.getvalue()).hexdigest()[:16]}.parquet"
    if not path.exists():
        with replacing(path) as part:
            part.write_bytes(content.getvalue())
    return path
