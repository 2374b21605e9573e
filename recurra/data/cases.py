"""Labelled sequences from files: tables of texts, series, images, folders with one folder for each class."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from recurra.data.case import Case, CaseColumns
from recurra.data.idx import read_idx
from recurra.data.labelled_folder import IMAGES, read_file, read_folder
from recurra.data.line_cases import read_line_cases
from recurra.data.parquet import parquet_rows
from recurra.data.tables import csv_rows, jsonl_rows, needed_columns, read_table, tsv_rows
from recurra.data.text import decompressed, files_of
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
            if (form := _form(case, columns)) != _form(first, columns):
                there = f"{_named(_form(first, columns))} as {first.place} has"
                raise BadInput(f"{case.place} has {_named(form)}, not {there}; give cases of one kind")
            place = case.place
            yield case
        if place is None:
            raise BadInput(f"{path}: holds no cases; give a file that has some")


def _cases(path: Path, columns: CaseColumns, *, labelled: bool) -> Iterator[Case]:
    if path.is_dir():
        return read_folder(path, columns, labelled=labelled)
    files_of(path)
    with decompressed(path) as file:
        head = file.read(4)
    needed = needed_columns(columns, labelled=labelled)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix in ROWS:
        return read_table(ROWS[suffix](path, columns.encoding, needed), columns, labelled=labelled)
    if suffix == ".parquet" or head == b"PAR1":
        return read_table(parquet_rows(path, needed), columns, labelled=labelled)
    if re.search(r"idx\d-ubyte", path.name) or head == b"\0\0\x08\x03":
        return read_idx(path, columns.pixels, labelled=labelled)
    if suffix in IMAGES:
        if labelled:
            raise BadInput(f"{path}: an image alone has no label; give a folder with one folder for each class")
        return iter([read_file(path, (), columns)])
    if suffix == ".ts":
        return read_ts(path, columns.encoding, labelled=labelled)
    return read_line_cases(path, columns, labelled=labelled)


def _form(case: Case, columns: CaseColumns) -> tuple[int, ...]:
    """What all cases are to have in common: of numbers, the values in a step; of permuted pixels, the steps too."""
    if isinstance(case.x, str):
        return ()
    return case.x.shape if columns.pixels == "permuted" else case.x.shape[1:]


def _named(form: tuple[int, ...]) -> str:
    if not form:
        return "a text"
    *steps, values = form
    return f"{steps[0]} steps of {values} values" if steps else f"steps of {values} values"
