"""The rows of each series together, in order, on a grid of steps; what is on none is refused by its row."""

import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from recurra.data.panel.cells import Place, TimeKind
from recurra.data.panel.grid import DAY, Grid, infer, read_frequency
from recurra.data.panel.layouts import Observations
from recurra.errors import BadInput

SPARSE = 100
"""Steps for each row: a series with more of them has a frequency that is not its own."""


class Series(NamedTuple):
    """One series.

    Args:
        start: the time of its first step.
        row: of the file that this is in.
        values: float64 (T, D), NaN where there is no row or no value.
        static: float64 (S,).
        observed: steps up to the last whose target was observed; those behind it have covariates known ahead alone.
        dev, test: the steps that those parts begin at, where files were given for them; else -1.
    """

    name: str
    start: int
    row: int
    values: np.ndarray
    static: np.ndarray
    observed: int
    dev: int
    test: int


class Sorted(NamedTuple):
    """Observations of one series after the other: ``begins`` (N + 1,) of series, ``series`` (n,) of rows."""

    rows: Observations
    time: np.ndarray
    begins: np.ndarray
    series: np.ndarray


def sort(found: Observations) -> Sorted:
    """Observations by series, otherwise in the order in which they came."""
    import pandas

    codes, _ = pandas.factorize(found.name)
    order = np.argsort(codes, kind="stable")
    rows = found.take(order)
    codes = codes[order]
    begins = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    time = np.arange(len(codes)) - begins[codes] if rows.time is None else rows.time
    return Sorted(rows, time, begins, codes)


def make_grid(found: Sorted, kind: TimeKind | None, frequency: str | None, place: Place) -> Grid:
    """The steps of these series: those of the longest one, unless a frequency is stated.

    Raises:
        BadInput: no such frequency, or none can be told because every series has one row.
    """
    kind = kind or TimeKind("number")
    if frequency is not None:
        return Grid(read_frequency(frequency, kind.unit), kind.unit, kind.zone)
    longest = int(np.diff(found.begins).argmax())
    begin, end = found.begins[longest], found.begins[longest + 1]
    if end - begin < 2:
        raise BadInput(
            f"{place(int(found.rows.row[0]))}: no series has a second row, so nothing says how far apart steps are; "
            "give longer series, or name what tells them apart by --group"
        )
    _check_ascending(found, kind, place)
    return Grid(infer(by_clock(found.time[begin:end], kind.zone), kind.unit), kind.unit, kind.zone)


def by_clock(times: np.ndarray, zone: str | None) -> np.ndarray:
    """Nanoseconds in UTC as those of the clock in a zone."""
    if zone is None:
        return times
    import pandas

    dates = pandas.DatetimeIndex(times.astype("datetime64[ns]")).tz_localize("UTC").tz_convert(zone)
    return dates.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64)


def series_of(found: Sorted, grid: Grid, known: int, place: Place) -> Iterator[Series]:
    """Every series, on the grid.

    Args:
        known: covariates known ahead.

    Raises:
        BadInput: times that are there twice, not ascending or off the grid; covariates known ahead, or static ones,
            that are missing; static ones that change; a series of which nothing was observed.
    """
    rows, kind = found.rows, TimeKind("date" if grid.unit == "date" else "number", grid.zone)
    _check_ascending(found, kind, place)
    time = by_clock(found.time, grid.zone) if grid.by_the_clock else found.time
    steps = grid.steps(time, time[found.begins[:-1]][found.series])
    inside = found.series[1:] == found.series[:-1]
    _check_steps(steps, inside, grid, rows, place)
    _check_covariates(rows, inside, known, place)
    _tell_of_gaps(steps, inside, time, grid, rows, place, known)
    for begin, end in zip(found.begins[:-1].tolist(), found.begins[1:].tolist(), strict=True):
        yield _one(rows, time, steps, begin, end, place)


def _one(rows: Observations, time: np.ndarray, steps: np.ndarray, begin: int, end: int, place: Place) -> Series:
    values = np.full((int(steps[end - 1]) + 1, rows.values.shape[1]), np.nan)
    values[steps[begin:end]] = rows.values[begin:end]
    there = np.flatnonzero(~np.isnan(values[:, 0]))
    if not len(there):
        raise BadInput(
            f"{place(int(rows.row[begin]))}: nothing was observed of the series {rows.name[begin]!r}; remove it"
        )
    starts = [np.flatnonzero(rows.part[begin:end] == part) for part in (1, 2)]
    dev, test = (int(steps[begin + each[0]]) if len(each) else -1 for each in starts)
    return Series(
        str(rows.name[begin]),
        int(time[begin]),
        int(rows.row[begin]),
        values,
        rows.static[begin],
        int(there[-1]) + 1,
        dev,
        test,
    )


def _check_ascending(found: Sorted, kind: TimeKind, place: Place) -> None:
    apart = np.diff(found.time)
    wrong = (apart <= 0) & (found.series[1:] == found.series[:-1])
    if not wrong.any():
        return
    first = int(wrong.argmax()) + 1
    name, twice = found.rows.name[first], apart[first - 1] == 0
    what = f"a time of the series {name!r} is there twice" if twice else f"a time of the series {name!r} goes back"
    mend = "remove one of the two rows" if twice else "sort the file by time"
    if _changes(int(found.time[first]), kind.unit == "date" and kind.zone is None):
        mend = "clocks go back on such a day: write times in UTC, or with their offset from it"
    elif twice:
        mend += ", or name what tells series apart by --group"
    raise BadInput(f"{place(int(found.rows.row[first]))}: {what}; {mend}")


def _changes(time: int, of_some_clock: bool) -> bool:
    """Whether clocks may be changed in the night of a date: on Sundays of spring and autumn."""
    if not of_some_clock or time % DAY >= DAY // 6:
        return False
    day = np.datetime64(time, "ns")
    month = int(day.astype("datetime64[M]").astype(int)) % 12 + 1
    return month in (3, 4, 9, 10, 11) and (int(day.astype("datetime64[D]").astype(int)) + 3) % 7 == 6


def _check_steps(steps: np.ndarray, inside: np.ndarray, grid: Grid, rows: Observations, place: Place) -> None:
    if (steps < 0).any():
        row = int((steps < 0).argmax())
        raise BadInput(
            f"{place(int(rows.row[row]))}: this time is not a whole number of steps of {grid.frequency} behind the "
            f"first of the series {rows.name[row]!r}; mend it, or state the right --frequency"
        )
    wide = inside & (np.diff(steps) > SPARSE * 10) & (np.diff(steps) > SPARSE * _lengths(rows)[1:])
    if wide.any():
        row = int(wide.argmax()) + 1
        raise BadInput(
            f"{place(int(rows.row[row]))}: {int(np.diff(steps)[row - 1]):,} steps of {grid.frequency} behind the row "
            "before; mend it, or state the right --frequency"
        )


def _lengths(rows: Observations) -> np.ndarray:
    import pandas

    codes, _ = pandas.factorize(rows.name)
    return np.bincount(codes)[codes]


def _check_covariates(rows: Observations, inside: np.ndarray, known: int, place: Place) -> None:
    missing = np.isnan(rows.values[:, 1 : 1 + known]).any(1)
    if missing.any():
        where = place(int(rows.row[int(missing.argmax())]))
        raise BadInput(f"{where}: a covariate known ahead is missing; fill it, or name the column by --past")
    if np.isnan(rows.static).any():
        where = place(int(rows.row[int(np.isnan(rows.static).any(1).argmax())]))
        raise BadInput(f"{where}: a static feature is missing; fill it, or leave its column out")
    changed = inside & (np.diff(rows.static, axis=0) != 0).any(1)
    if changed.any():
        row = int(changed.argmax()) + 1
        raise BadInput(
            f"{place(int(rows.row[row]))}: a static feature changes within the series {rows.name[row]!r}; "
            "mend it, or name the column by --known or --past"
        )


def _tell_of_gaps(
    steps: np.ndarray,
    inside: np.ndarray,
    time: np.ndarray,
    grid: Grid,
    rows: Observations,
    place: Place,
    known: int,
) -> None:
    """One line on standard error where rows are missing.

    Raises:
        BadInput: covariates known ahead are missing with them.
    """
    gaps = np.where(inside, np.diff(steps) - 1, 0)
    if not gaps.any():
        return
    row = int((gaps > 0).argmax()) + 1
    where, name = place(int(rows.row[row])), rows.name[row]
    if known:
        raise BadInput(
            f"{where}: {gaps[row - 1]} rows of the series {name!r} are missing before this one, and covariates known "
            "ahead with them; write these rows, the target empty"
        )
    clocks = ""
    if (
        _changes(int(time[row]), grid.unit == "date" and grid.zone is None)
        and gaps[row - 1] * (grid.step or 0) == DAY // 24
    ):
        clocks = " (clocks go forward on such a day; times in UTC have no such gap)"
    print(
        f"{where}: {gaps[row - 1]} steps of the series {name!r} are missing before this row{clocks}; "
        f"{int(gaps.sum())} in all are taken as not observed",
        file=sys.stderr,
    )
