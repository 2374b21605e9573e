"""Cases one a row of a table: CSV with a header line, TSV, JSON lines, Parquet."""

import csv
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from recurra.data.case import Case, CaseColumns, split_labels, text_case
from recurra.data.lines import json_of, open_text, read_lines
from recurra.errors import BadInput, unknown

TEXT, LABEL = "text", "label"
"""What the columns are called where :class:`CaseColumns` does not say."""

LARGEST = 1 << 24
"""Characters in a cell of a CSV file; a quote that is not closed would have the whole file read as one cell."""


class Row(NamedTuple):
    """A row: the values as the format has them, and as text."""

    place: str
    values: Mapping[str, object]
    fields: Mapping[str, str]


def read_table(rows: Iterator[Row], columns: CaseColumns, *, labelled: bool) -> Iterator[Case]:
    """The cases of rows. A list (JSON, Parquet) is several labels; it may be empty, as may a cell that holds several.

    Raises:
        BadInput: a row whose text is missing, empty or no text, or whose label is missing.
    """
    text_column, label_column = columns.text or TEXT, columns.label or LABEL
    for place, values, fields in rows:
        text, label = values[text_column], values.get(label_column)
        if text is not None and not isinstance(text, str):
            raise BadInput(f"{place}: {text_column!r} holds {fields[text_column]:.40}, no text; name another by --text")
        if isinstance(label, list):
            labels = tuple(dict.fromkeys(name for one in label if (name := as_text(one).strip())))
        else:
            labels = split_labels(as_text(label), columns.separator)
        needs_label = labelled and columns.separator is None and not isinstance(label, list)
        yield text_case(text or "", labels, place, fields, needs_label=needs_label)


def needed_columns(columns: CaseColumns, *, labelled: bool) -> dict[str, str]:
    """The columns that a table is to have, each with the option that names another."""
    return {columns.text or TEXT: "--text"} | ({columns.label or LABEL: "--label"} if labelled else {})


def check_columns(names: Collection[str], needed: Mapping[str, str], place: str) -> None:
    """Nothing, where the names hold all columns that are needed.

    Raises:
        BadInput: one is not there; offers the nearest.
    """
    for name, option in needed.items():
        if name not in names:
            raise BadInput(f"{place}: {unknown('column', name, names)}; name it by {option}")


def csv_rows(
    path: Path, encoding: str, needed: Mapping[str, str], header: Sequence[str] | None = None
) -> Iterator[Row]:
    """The rows of CSV (RFC 4180): commas, or semicolons where the header has no comma, and quotes.

    A row's place is the line that it begins at.

    Args:
        header: names of the columns of a file that has no header line.

    Raises:
        BadInput: a needed column is missing, a broken quote, a cell of more than 2^24 characters, a row of more or
            fewer cells than the header.
    """
    with open_text(path, encoding, newline="") as file:
        first = next(file, "")
        delimiter = ";" if ";" in first and "," not in first else ","
        yield from _rows(itertools.chain([first], file), path, needed, delimiter, csv.QUOTE_MINIMAL, header)


def tsv_rows(path: Path, encoding: str, needed: Mapping[str, str]) -> Iterator[Row]:
    """The rows of tab-separated values (IANA text/tab-separated-values): quotes mean themselves, a row is a line.

    Raises:
        BadInput: a needed column is missing, or a row of more or fewer cells than the header.
    """
    with open_text(path, encoding, newline="") as file:
        yield from _rows(file, path, needed, "\t", csv.QUOTE_NONE)


def jsonl_rows(path: Path, encoding: str, needed: Mapping[str, str]) -> Iterator[Row]:
    """One object of JSON a line; empty lines are passed over.

    Raises:
        BadInput: a line that is no object, or lacks a needed column.
    """
    for number, line in read_lines(path, encoding):
        if not line or line.isspace():
            continue
        try:
            values = json_of(line)
        except ValueError as error:
            raise BadInput(f"{path}: line {number} is no JSON ({error}); write one object a line") from error
        if not isinstance(values, dict):
            raise BadInput(f"{path}: line {number} is no object of JSON but {line:.20}; write one object a line")
        check_columns(values, needed, f"{path}: line {number}")
        yield Row(f"{path}: line {number}", values, {name: as_text(value) for name, value in values.items()})


def as_text(value: object) -> str:
    """A cell's value as CSV would have it: nothing for null and not-a-number, JSON for what has parts."""
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, bool | list | dict) else str(value)


def _rows(
    lines: Iterable[str],
    path: Path,
    needed: Mapping[str, str],
    delimiter: str,
    quoting: Literal[0, 3],
    header: Sequence[str] | None = None,
) -> Iterator[Row]:
    csv.field_size_limit(max(LARGEST, csv.field_size_limit()))
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    start = 0
    names = list(header or ())
    try:
        for cells in reader:
            place, start = f"{path}: line {start + 1}", reader.line_num
            if not cells:
                continue  # an empty line
            if not names:
                names = _header(cells, place)
                check_columns(names, needed, place)
            elif len(cells) == len(names):
                fields = dict(zip(names, cells, strict=True))
                yield Row(place, fields, fields)
            else:
                counts = f"{len(cells)} cells where the header has {len(names)}"
                raise BadInput(f"{place}: {counts}; mend the row (a cell that holds the separator is quoted)")
    except csv.Error as error:
        mend = "close the quote (one within quotes is written twice) or shorten the cell"
        raise BadInput(f"{path}: line {start + 1}: {error} in the row that begins here; {mend}") from error


def _header(cells: list[str], place: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{place}: the column {name!r} is there twice; rename one")
    return names
