"""Cells of a column as numbers and as times; what is neither is refused by its row."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from recurra.data.series import MISSING
from recurra.errors import BadInput

if TYPE_CHECKING:
    import pandas

Place = Callable[[int], str]
"""How a message names the row of a number."""

EMPTY = (*MISSING, "null", "none", "<na>", "nat")
OFFSET = re.compile(r"\d\d:\d\d\S*?(Z|[+-]\d\d:?\d\d)$")


class TimeKind(NamedTuple):
    """What a column of times holds.

    Args:
        unit: ``date`` (nanoseconds since 1970 as int64) or ``number``.
        zone: of dates that state one; their nanoseconds are in UTC then, else by the clock that the file means.
    """

    unit: Literal["date", "number"]
    zone: str | None = None


def numbers(cells: "pandas.Series", place: Place) -> np.ndarray:
    """float64, NaN where a cell is empty or says that it is missing.

    Raises:
        BadInput: a cell holds text, or a number that is not finite.
    """
    import pandas

    if cells.dtype != object and not isinstance(cells.dtype, pandas.StringDtype):
        if not pandas.api.types.is_numeric_dtype(cells):
            raise BadInput(f"{place(cells.index[0])}: {cells.name!r} holds {cells.iloc[0]}, no number")
        found = cells.to_numpy(np.float64, na_value=np.nan)
    else:
        text = cells.astype(str).str.strip()
        missing = text.str.lower().isin(EMPTY).to_numpy()
        found = pandas.to_numeric(text.mask(missing), errors="coerce").to_numpy(np.float64)
        wrong = np.isnan(found) & ~missing
        if wrong.any():
            row = int(wrong.argmax())
            raise BadInput(
                f"{place(cells.index[row])}: {cells.name!r} holds {text.iloc[row][:40]!r}, no number; "
                "mend it, leave the cell empty where nothing was observed, or name a covariate of words by --categories"
            )
    if np.isinf(found).any():
        row = int(np.isinf(found).argmax())
        raise BadInput(
            f"{place(cells.index[row])}: {cells.name!r} is infinite; mend it, or leave the cell empty where nothing "
            "was observed"
        )
    return found


def words(cells: "pandas.Series") -> np.ndarray:
    """The words of a category, as text; None where a cell is empty."""
    text = cells.astype(str).str.strip()
    found: np.ndarray = text.where(cells.notna() & (text != ""), None).to_numpy(object)
    return found


def names(cells: "pandas.Series", place: Place) -> np.ndarray:
    """The names of series, as text.

    Raises:
        BadInput: one is missing.
    """
    missing = cells.isna().to_numpy() | (cells.astype(str).str.strip() == "").to_numpy()
    if missing.any():
        row = int(missing.argmax())
        raise BadInput(f"{place(cells.index[row])}: {cells.name!r} is empty, so its series is unknown; fill it")
    return cells.astype(str).str.strip().to_numpy(object)


def times(cells: "pandas.Series", place: Place, form: str | None) -> tuple[np.ndarray, TimeKind]:
    """int64 and what it counts.

    Args:
        form: as of ``strptime``; ISO 8601 where it is None. Whole numbers stay numbers, unless all
            have 8 digits, which are dates.

    Raises:
        BadInput: a time is missing or cannot be read, or some state a time zone and others another one, or none.
    """
    import pandas

    if cells.isna().any():
        raise BadInput(f"{place(cells.index[int(cells.isna().to_numpy().argmax())])}: {cells.name!r} is empty; fill it")
    if pandas.api.types.is_datetime64_any_dtype(cells):
        zone = getattr(cells.dtype, "tz", None)
        return _nanoseconds(cells.dt.tz_convert("UTC").dt.tz_localize(None) if zone else cells), TimeKind(
            "date", str(zone) if zone else None
        )
    if pandas.api.types.is_integer_dtype(cells):
        return cells.to_numpy(np.int64), TimeKind("number")
    text = cells.astype(str).str.strip()
    if form is None and text.str.fullmatch(r"[+-]?\d{1,7}|[+-]?\d{9,18}").all():
        return text.astype(np.int64).to_numpy(), TimeKind("number")
    if form is None and text.str.fullmatch(r"\d{8}").all():
        form = "%Y%m%d"
    zone = _zone(text, place)
    found = pandas.to_datetime(text, format=form or "ISO8601", errors="coerce", utc=zone is not None)
    if found.isna().any():
        row = int(found.isna().to_numpy().argmax())
        how = f"not of the form {form}" if form else "no date of ISO 8601 (2026-06-30, 2026-06-30 14:00)"
        raise BadInput(
            f"{place(text.index[row])}: {cells.name!r} holds {text.iloc[row][:40]!r}, {how}; "
            "mend it, or say by --time-format how dates are written"
        )
    return _nanoseconds(found.dt.tz_localize(None) if zone else found), TimeKind("date", zone)


def _nanoseconds(dates: "pandas.Series") -> np.ndarray:
    return dates.to_numpy("datetime64[ns]").astype(np.int64)


def _zone(text: "pandas.Series", place: Place) -> str | None:
    """The offset from UTC that all times state, "UTC" for none of an hour; None where they state none."""
    stated = text.str.extract(OFFSET, expand=False).fillna("")
    differs = (stated != stated.iloc[0]).to_numpy()
    if differs.any():
        row = int(differs.argmax())
        here, there = (stated.iloc[each] or "no time zone" for each in (row, 0))
        raise BadInput(
            f"{place(text.index[row])}: {text.name!r} states {here} where the rows before state {there}; "
            "write all times in one zone, UTC for instance"
        )
    zone = stated.iloc[0].replace("Z", "UTC")
    return "UTC" if zone in ("+00:00", "+0000") else zone or None
