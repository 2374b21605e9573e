"""Texts and what they become: two files that go line by line together, or a table with a column for each."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from recurra.data.cases import ROWS
from recurra.data.lines import read_lines
from recurra.data.parquet import parquet_rows
from recurra.data.tables import Row
from recurra.data.text import files_of
from recurra.errors import BadInput

SOURCE, TARGET = "source", "target"
"""What the columns of a table are called where :class:`PairColumns` does not say."""


class PairColumns(NamedTuple):
    """Where a pair stands in a table.

    Args:
        source, target: names of columns; where neither is named a ``.tsv`` has no header, and its first two columns are
            meant.
        encoding: of text files.
    """

    source: str | None = None
    target: str | None = None
    encoding: str = "utf-8"


class Pair(NamedTuple):
    """A text and what it becomes, in Unicode's composed normal form (NFC); ``place`` is its file and line."""

    source: str
    target: str
    place: str


def read_pairs(paths: Sequence[Path], columns: PairColumns) -> Iterator[Pair]:
    """The pairs of files, one at a time in memory, those with an empty side included; gzip allowed.

    Args:
        paths: a table (CSV, TSV, JSON lines, Parquet), or two files of one text a line.

    Raises:
        BadInput: a number of files that makes no pairs, files of unequal length, no column of a name, a row without
            two cells; the message names the file and the line.
    """
    tables = [path for path in paths if is_table(path)]
    if len(paths) == 1 and tables:
        yield from _table(paths[0], columns)
    elif len(paths) == 2 and not tables:
        yield from _side_by_side(paths[0], paths[1], columns.encoding)
    else:
        names = " ".join(str(path) for path in paths)
        wanted = "give the file of the sources and that of the targets, or one table"
        raise BadInput(
            f"{names}: {len(paths)} file{'s' * (len(paths) > 1)} where two texts or a table are needed; {wanted}"
        )


def is_table(path: Path) -> bool:
    """Whether a file holds both sides, by the end of its name."""
    return _suffix(path) in (*ROWS, ".parquet")


def read_texts(path: Path, columns: PairColumns) -> Iterator[tuple[str, str]]:
    """Texts without what they become, each with its place: a text a line, or the sources of a table.

    Raises:
        BadInput: as of :func:`read_pairs`.
    """
    if is_table(path) and not _is_bare(path, columns):
        column = columns.source or SOURCE
        for row in _rows(path, columns, {column: "--source"}):
            yield _text(row, column), row.place
    else:
        files_of(path)
        for number, line in read_lines(path, columns.encoding):
            yield composed(line.partition("\t")[0] if is_table(path) else line), f"{path}: line {number}"


def composed(text: str) -> str:
    """A text as it is read: letters and their marks as one character where there is such a one."""
    return unicodedata.normalize("NFC", text)


def _side_by_side(source: Path, target: Path, encoding: str) -> Iterator[Pair]:
    for path in (source, target):
        if not path.is_file():
            raise BadInput(f"{path}: is not a file; give the file of the sources and that of the targets")
        files_of(path)
    number = 0
    sides = (read_lines(path, encoding) for path in (source, target))
    for number, (left, right) in enumerate(zip_longest(*sides), 1):
        if left is None or right is None:
            longer, shorter = (source, target) if right is None else (target, source)
            more = sum(1 for _ in read_lines(longer, encoding))
            raise BadInput(
                f"{shorter}: ends after line {number - 1:,}, {longer} has {more:,}; each line needs its other"
            )
        yield Pair(composed(left[1]), composed(right[1]), f"{source}: line {number}")


def _table(path: Path, columns: PairColumns) -> Iterator[Pair]:
    if _is_bare(path, columns):
        files_of(path)
        for number, line in read_lines(path, columns.encoding):
            cells = line.split("\t")
            if len(cells) < 2:
                raise BadInput(f"{path}: line {number} has no tab; write a text, a tab and what it becomes")
            yield Pair(composed(cells[0]), composed(cells[1]), f"{path}: line {number}")
        return
    source, target = columns.source or SOURCE, columns.target or TARGET
    for row in _rows(path, columns, {source: "--source", target: "--target"}):
        yield Pair(_text(row, source), _text(row, target), row.place)


def _is_bare(path: Path, columns: PairColumns) -> bool:
    """Whether a table has no header."""
    return _suffix(path) == ".tsv" and columns.source is None and columns.target is None


def _rows(path: Path, columns: PairColumns, needed: dict[str, str]) -> Iterator[Row]:
    files_of(path)
    if _suffix(path) == ".parquet":
        return parquet_rows(path, needed)
    return ROWS[_suffix(path)](path, columns.encoding, needed)


def _text(row: Row, column: str) -> str:
    value = row.values[column]
    if value is not None and not isinstance(value, str):
        raise BadInput(f"{row.place}: {column!r} holds {row.fields[column]:.40}, no text; name another column")
    return composed(" ".join((value or "").split("\n")))


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()
