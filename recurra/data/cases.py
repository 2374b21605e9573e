"""Labelled sequences from files: tables of texts, series, images, folders with one folder for each class."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from recurra.data.case import Case, CaseColumns
from recurra.data.line_cases import read_line_cases
from recurra.data.tables import csv_rows, jsonl_rows, read_table, tsv_rows
from recurra.data.text import files_of
from recurra.data.time_series_file import read_ts
from recurra.errors import BadInput

__all__ = ["Case", "CaseColumns", "read_cases"]

ROWS = {".csv": csv_rows, ".tsv": tsv_rows, ".jsonl": jsonl_rows, ".ndjson": jsonl_rows, ".json": jsonl_rows}
"""The tables that are text, by the end of the name."""


def read_cases(paths: Sequence[Path], columns: CaseColumns, *, labelled: bool = True) -> Iterator[Case]:
    """The cases of files, one after the other, one at a time in memory; text files may be gzip.

    Args:
        labelled: each case needs a label; else (to predict on) one may be missing, and lines are texts without labels.

    Raises:
        BadInput: a file that is missing, empty or not as its format has it; cases of several kinds (texts and series,
            or series of unequal dimensions). The message names the file and the line.
    """
    first: Case | None = None
    for path in paths:
        place = None
        for case in _cases(path, columns, labelled=labelled):
            first = first or case
            if _features(case) != _features(first):
                raise BadInput(
                    f"{case.place} is {_kind(case)} and {first.place} {_kind(first)}; give cases of one kind"
                )
            place = case.place
            yield case
        if place is None:
            raise BadInput(f"{path}: holds no cases; give a file that has some")


def _cases(path: Path, columns: CaseColumns, *, labelled: bool) -> Iterator[Case]:
    files_of(path)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in ROWS:
        return read_table(ROWS[suffix](path, columns.encoding), columns, labelled=labelled)
    if suffix == ".ts":
        return read_ts(path, columns.encoding, labelled=labelled)
    return read_line_cases(path, columns, labelled=labelled)


def _features(case: Case) -> int | None:
    return None if isinstance(case.x, str) else case.x.shape[1]


def _kind(case: Case) -> str:
    features = _features(case)
    return "a text" if features is None else f"a series of {features} dimensions"
