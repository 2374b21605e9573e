"""The rows of tables as data frames, a block of them at a time."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.data.lines import open_text
from recurra.data.tables import Row, csv_rows, tsv_rows
from recurra.errors import BadInput

if TYPE_CHECKING:
    import pandas

BLOCK = 100_000
"""Rows."""


def needs_series() -> None:
    """Nothing, where pandas and pyarrow are installed.

    Raises:
        BadInput: names the extra.
    """
    try:
        import pandas
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise BadInput("time series need pandas and pyarrow: pip install 'recurra[series]'") from error
    assert pandas


def frames(path: Path, encoding: str) -> "Iterator[pandas.DataFrame]":
    """The rows of a file, numbered from 0 by the index. Cells of CSV and TSV are text, those of Parquet typed.

    A first line that holds numbers alone is no header; columns are named by their numbers from 1 on then.

    Raises:
        BadInput: the file cannot be read, names a column twice, or has a row that does not fit its header.
    """
    import pandas

    if path.suffix == ".parquet":
        yield from _parquet(path)
        return
    rows, start, names = _rows(path, encoding), 0, column_names(path, encoding)
    while block := list(islice(rows, BLOCK)):
        cells = [list(row.fields.values()) for row in block]
        yield pandas.DataFrame(cells, columns=list(names), index=range(start, start + len(block)), dtype=object)
        start += len(block)


def column_names(path: Path, encoding: str) -> tuple[str, ...]:
    """The columns of a file in their order, one that is there twice included.

    Raises:
        BadInput: the file cannot be read.
    """
    if path.suffix == ".parquet":
        from pyarrow import ArrowException, parquet

        try:
            return tuple(parquet.read_schema(path).names)
        except (ArrowException, OSError) as error:
            raise _damaged(path, error) from error
    header = _headerless(path, encoding)
    return tuple(header) if header else tuple(next(_rows(path, encoding)).fields)


def place_of(path: Path, encoding: str, row: int) -> str:
    """The file and the line, of Parquet the row, that a row is in; CSV is read again up to there."""
    if path.suffix == ".parquet":
        return f"{path}: row {row + 1}"
    return next(islice(_rows(path, encoding), row, None)).place


def _rows(path: Path, encoding: str) -> Iterator[Row]:
    if path.name.removesuffix(".gz").endswith(".tsv"):
        rows = tsv_rows(path, encoding, {})
    else:
        rows = csv_rows(path, encoding, {}, header=_headerless(path, encoding))
    first = next(rows, None)
    if first is None:
        raise BadInput(f"{path}: has no rows below its header; give observations")
    yield first
    yield from rows


def _headerless(path: Path, encoding: str) -> Sequence[str] | None:
    """Names for the columns of a file whose first line holds numbers alone; None of any other."""
    with open_text(path, encoding) as file:
        cells = file.readline().strip().split(",")
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return None
    return [str(number) for number in range(1, len(cells) + 1)]


def _parquet(path: Path) -> "Iterator[pandas.DataFrame]":
    import pyarrow
    from pyarrow import parquet

    start = 0
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(BLOCK):
                frame = batch.to_pandas()
                frame.index = range(start, start + len(frame))
                yield frame
                start += len(frame)
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    if not start:
        raise BadInput(f"{path}: has no rows; give observations")


def _damaged(path: Path, error: Exception) -> BadInput:
    reason = str(error).partition("\n")[0].rstrip(". ")
    return BadInput(f"{path}: cannot be read as Parquet ({reason}); copy or write it again")
