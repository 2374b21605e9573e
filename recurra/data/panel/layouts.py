"""From tables of any layout to observations: a series' name, a time and numbers, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recurra.data.panel.cells import Place, TimeKind, names, numbers, times, words
from recurra.data.panel.columns import PanelColumns, settle
from recurra.data.panel.frames import column_names, frames, place_of
from recurra.errors import BadInput

if TYPE_CHECKING:
    import pandas

FILE = 40
"""Bits of a row's number below those of its file's."""

PARTS = ("train", "dev", "test")

MOST_WORDS = 100
"""Of a category: each becomes a number of every step."""


class Observations(NamedTuple):
    """Some rows, in the order of the files.

    Args:
        row: number of the row within its file, and above it the file's: int64 (n,).
        part: of the file, as numbers of ``PARTS``: int8 (n,).
        name: of the series: text (n,).
        time: int64 (n,); None where a table has none.
        values: target, covariates known ahead, covariates of the past, NaN where missing: float64 (n, D).
        static: float64 (n, S).
    """

    row: np.ndarray
    part: np.ndarray
    name: np.ndarray
    time: np.ndarray | None
    values: np.ndarray
    static: np.ndarray

    def take(self, rows: np.ndarray) -> "Observations":
        """Some of them."""
        time = None if self.time is None else self.time[rows]
        return Observations(
            self.row[rows], self.part[rows], self.name[rows], time, self.values[rows], self.static[rows]
        )


class Table(NamedTuple):
    """Files that are read as one, each with the part that its rows belong to."""

    files: tuple[tuple[Path, str], ...]
    encoding: str

    def place(self, row: int) -> str:
        """The file and line of a row."""
        return place_of(self.files[row >> FILE][0], self.encoding, row & ((1 << FILE) - 1))


def read_observations(table: Table, columns: PanelColumns) -> "Iterator[tuple[TimeKind | None, Observations]]":
    """The observations of files a block at a time, and what their times are.

    Raises:
        BadInput: a file cannot be read or lacks a column, a cell holds what it should not, time zones differ.
    """
    first: TimeKind | None = None
    for file, (path, part) in enumerate(table.files):
        found = settle(columns, column_names(path, table.encoding), f"{path}: header")
        for frame in frames(path, table.encoding):
            place = partial(_place, table, file)
            kind, time = _times(frame, found, place)
            if kind is not None and first is not None and kind != first:
                raise BadInput(
                    f"{place(frame.index[0])}: {found.time!r} holds {_described(kind)}, the rows before hold "
                    f"{_described(first)}; write all times in one zone, UTC for instance"
                )
            first = first or kind
            rows = frame.index.to_numpy(np.int64) + (file << FILE)
            yield kind, _LAYOUTS[columns.layout](frame, found, rows, PARTS.index(part), time, place)


def _place(table: Table, file: int, row: int) -> str:
    return table.place((file << FILE) + row)


def _described(kind: TimeKind) -> str:
    return "numbers" if kind.unit == "number" else f"dates of the zone {kind.zone}" if kind.zone else "dates of no zone"


def _times(frame: "pandas.DataFrame", columns: PanelColumns, place: Place) -> tuple[TimeKind | None, np.ndarray | None]:
    if columns.layout == "rows" or columns.time is None:
        return None, None
    found, kind = times(frame[columns.time], place, columns.time_format)
    return kind, found


def _long(
    frame: "pandas.DataFrame", columns: PanelColumns, rows: np.ndarray, part: int, time: np.ndarray, place: Place
) -> Observations:
    parts = [names(frame[name], place) for name in columns.group]
    name = np.array(["/".join(found) for found in zip(*parts, strict=True)], object) if parts else None
    read = (*columns.target, *columns.known, *columns.past)
    return Observations(
        rows,
        np.full(len(rows), part, np.int8),
        np.full(len(rows), columns.target[0], object) if name is None else name,
        time,
        _columns(frame, read, columns, place),
        _columns(frame, columns.static, columns, place),
    )


def _wide(
    frame: "pandas.DataFrame", columns: PanelColumns, rows: np.ndarray, part: int, time: np.ndarray | None, place: Place
) -> Observations:
    count = len(columns.target)
    return Observations(
        np.tile(rows, count),
        np.full(len(rows) * count, part, np.int8),
        np.repeat(np.array(columns.target, object), len(rows)),
        None if time is None else np.tile(time, count),
        _columns(frame, columns.target, columns, place).T.reshape(-1, 1),
        np.empty((len(rows) * count, 0)),
    )


def _rows(
    frame: "pandas.DataFrame", columns: PanelColumns, rows: np.ndarray, part: int, time: None, place: Place
) -> Observations:
    """Missing cells behind the last number of a row are no observations."""
    name = names(frame.iloc[:, 0], place)
    values = _columns(frame, list(frame.columns[1:]), columns, place)
    observed = ~np.isnan(values)
    lengths = np.where(observed.any(1), values.shape[1] - observed[:, ::-1].argmax(1), 0)
    if (lengths == 0).any():
        raise BadInput(f"{place(frame.index[int((lengths == 0).argmax())])}: has no numbers; remove the row")
    kept = np.arange(values.shape[1]) < lengths[:, None]
    return Observations(
        np.repeat(rows, lengths),
        np.full(int(lengths.sum()), part, np.int8),
        np.repeat(name, lengths),
        None,
        values[kept][:, None],
        np.empty((int(lengths.sum()), 0)),
    )


def _columns(frame: "pandas.DataFrame", wanted: Sequence[str], columns: PanelColumns, place: Place) -> np.ndarray:
    found = np.empty((len(frame), len(wanted)))
    of_words: dict[str, list[tuple[int, str]]] = {}
    for number, name in enumerate(wanted):
        if (category := columns.word(name)) is None:
            found[:, number] = numbers(frame[name], place)
        else:
            of_words.setdefault(category[0], []).append((number, category[1]))
    for name, listed in of_words.items():
        found[:, [number for number, _ in listed]] = _indicators(frame[name], [word for _, word in listed], place)
    return found


def _indicators(cells: "pandas.Series", known: list[str], place: Place) -> np.ndarray:
    """1 where a word stands and 0 elsewhere, a column for each word; NaN where a cell is empty."""
    found = words(cells)
    empty = np.array([word is None for word in found])
    there = found[:, None] == np.array(known, object)
    strange = ~there.any(1) & ~empty
    if strange.any():
        row = int(strange.argmax())
        raise BadInput(
            f"{place(cells.index[row])}: {cells.name!r} holds {found[row]!r}, which training did not have "
            f"({', '.join(known)}); mend it, or train with it"
        )
    return np.where(empty[:, None], np.nan, there.astype(np.float64))


def read_words(table: Table, columns: PanelColumns) -> dict[str, list[str]]:
    """All words of each category that is not spelled out yet, in order.

    Raises:
        BadInput: a file cannot be read or lacks a column; a category has more than ``MOST_WORDS`` words.
    """
    covariates = {*columns.known, *columns.past, *columns.static}
    found: dict[str, set[str]] = {name: set() for name in columns.categories if name in covariates}
    for path, _ in table.files if found else ():
        settle(columns, column_names(path, table.encoding), f"{path}: header")
        for frame in frames(path, table.encoding):
            for name, known in found.items():
                known.update(word for word in words(frame[name]) if word is not None)
                if len(known) > MOST_WORDS:
                    raise BadInput(
                        f"{path}: {name!r} has more than {MOST_WORDS} words; leave it out of --categories, or make "
                        "them fewer"
                    )
    return {name: sorted(known) for name, known in found.items()}


_LAYOUTS: dict[str, Callable[..., Observations]] = {"long": _long, "wide": _wide, "rows": _rows}
