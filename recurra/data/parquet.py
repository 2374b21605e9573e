"""Rows of Parquet, a batch of them in memory at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from recurra.data.tables import Row, as_text, check_columns
from recurra.errors import BadInput

BATCH = 1024  # rows
BUFFER = 1 << 20  # bytes of a column read at a time; else all of a group of rows is


def parquet_rows(path: Path, needed: Mapping[str, str]) -> Iterator[Row]:
    """The rows of a Parquet file; their places count them from 1. Dates and times are text as Arrow writes it.

    Raises:
        BadInput: pyarrow or a needed column is missing, or the file damaged, or text in it is not UTF-8.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise BadInput("Parquet files need the pyarrow package: pip install 'recurra[labelling]'") from error
    number = 0
    try:
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER) as file:
            check_columns(file.schema_arrow.names, needed, str(path))
            for batch in file.iter_batches(BATCH):
                names = batch.schema.names
                temporal = pyarrow.types.is_temporal  # to_pylist would import pandas for nanoseconds
                columns = [
                    (column.cast(pyarrow.string()) if temporal(column.type) else column).to_pylist()
                    for column in batch.columns
                ]
                for cells in zip(*columns, strict=True):
                    number += 1
                    values = dict(zip(names, cells, strict=True))
                    fields = {name: as_text(value) for name, value in values.items()}
                    yield Row(f"{path}: row {number}", values, fields)
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: a text in the {BATCH} rows after row {number} is not UTF-8; write it again") from error
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(". ")
        raise BadInput(f"{path}: cannot be read as Parquet ({reason}); copy or write it again") from error
