"""The steps of time that a frequency makes: which step a time is, and which time a step."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.errors import BadInput

if TYPE_CHECKING:
    import pandas

DAY = 86_400 * 10**9
FIRST, LAST = "1700-01-01", "2250-01-01"
"""Between which dates of months and the like lie; 64 bits of nanoseconds since 1970 end a little beyond."""

SEASONS = {"min": 1440, "h": 24, "D": 7, "B": 5, "W": 52, "M": 12, "Q": 4}
"""Steps after which a frequency's values are alike, where nothing else is said; 1 of all others."""


@dataclass(frozen=True)
class Grid:
    """Steps of one frequency.

    Args:
        frequency: as pandas writes it (``h``, ``15min``, ``D``, ``MS``); of numbers the step.
        unit: what times are counted in: nanoseconds since 1970, or they are numbers.
        zone: that the file states; days and longer steps are taken by the clock there, shorter ones in UTC.
    """

    frequency: str
    unit: str
    zone: str | None = None

    @property
    def step(self) -> int | None:
        """The length of every step in the unit of times; None where they differ, as those of months do."""
        return int(self.frequency) if self.unit == "number" else _fixed(self.frequency)

    @property
    def by_the_clock(self) -> bool:
        """Whether times that state a zone are taken by the clock there, so that a day is a day when clocks change."""
        return self.zone is not None and (self.step is None or self.step >= DAY)

    def steps(self, times: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """How many steps each time lies behind its start, int64; -1 where it is on none."""
        if self.step is not None:
            whole, rest = np.divmod(times - starts, self.step)
            return np.where(rest == 0, whole, -1)
        marks = _marks(self.frequency)
        found, begin = (np.searchsorted(marks, each) for each in (times, starts))
        on = (marks[np.minimum(found, len(marks) - 1)] == times) & (marks[np.minimum(begin, len(marks) - 1)] == starts)
        return np.where(on, found - begin, -1)

    def times(self, starts: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """The times so many steps behind their starts, int64; the two broadcast."""
        if self.step is not None:
            return starts + steps * self.step
        marks = _marks(self.frequency)
        return marks[np.searchsorted(marks, starts) + steps]

    def steps_before(self, starts: np.ndarray, time: int) -> np.ndarray:
        """How many steps from each start on lie before a time, int64; negative where the start lies behind it."""
        if self.step is not None:
            return -((starts - time) // self.step)
        marks = _marks(self.frequency)
        return np.searchsorted(marks, time) - np.searchsorted(marks, starts)

    def shown(self, times: np.ndarray) -> Any:
        """Times as a data frame has them: dates in the zone of the file, or whole numbers."""
        import pandas

        if self.unit == "number":
            return times
        dates = pandas.DatetimeIndex(times.astype("datetime64[ns]"))
        if self.zone is None:
            return dates
        return dates.tz_localize(self.zone) if self.by_the_clock else dates.tz_localize("UTC").tz_convert(self.zone)

    def written(self, times: np.ndarray) -> list[str]:
        """Times as text: days and longer steps as dates alone."""
        whole_days = self.unit == "date" and (self.step is None or self.step % DAY == 0)
        return [str(time).removesuffix(" 00:00:00") if whole_days else str(time) for time in self.shown(times)]

    def read(self, text: str, option: str) -> int:
        """A time as a user writes it.

        Raises:
            BadInput: it is none; ``option`` names where it was given.
        """
        import pandas

        try:
            if self.unit == "number":
                return int(text)
            time = pandas.Timestamp(text)
        except ValueError as error:
            kind = "whole number, as the times trained on" if self.unit == "number" else "date (2026-06-30)"
            raise BadInput(f"{option} {text}: is no {kind}; mend it") from error
        if self.zone is not None:
            time = time.tz_localize(self.zone) if time.tzinfo is None else time.tz_convert(self.zone)
            time = time if self.by_the_clock else time.tz_convert("UTC")
        return int(time.tz_localize(None).value)


def season_of(frequency: str, unit: str) -> int:
    """Steps after which values of a frequency are alike, where nothing is said: 24 hours, 7 days, 12 months."""
    if unit == "number":
        return 1
    step = _fixed(frequency)
    if step is not None and step < DAY:
        return DAY // step if DAY % step == 0 else 1
    if step is not None:
        return {1: 7, 7: 52}.get(step // DAY, 1) if step % DAY == 0 else 1
    name = frequency.split("-")[0]
    return next((season for start, season in SEASONS.items() if name.startswith(start)), 1)


def read_frequency(text: str, unit: str) -> str:
    """A frequency as the user states it, in the form that :class:`Grid` has it.

    Raises:
        BadInput: it is none.
    """
    if unit == "number":
        if not text.isdigit() or int(text) < 1:
            raise BadInput(f"--frequency {text}: times are numbers here; give a whole number of them")
        return text
    from pandas.tseries.frequencies import to_offset

    try:
        offset = to_offset(text)
    except ValueError as error:
        raise BadInput(f"--frequency {text}: unknown; give one of pandas, for instance h, 15min, D, W, MS") from error
    return "7D" if offset.freqstr.startswith("W-") and offset.n == 1 else offset.freqstr


def infer(times: np.ndarray, unit: str) -> str:
    """The frequency of a series: its commonest step, as far as that is one of a clock or a calendar.

    Args:
        times: (T,) ascending, at least two.
    """
    steps, counts = np.unique(np.diff(times), return_counts=True)
    step = int(steps[counts.argmax()])
    if unit == "number":
        return str(step)
    import pandas
    from pandas.tseries.frequencies import to_offset

    dates = pandas.DatetimeIndex(times.astype("datetime64[ns]"))
    if step == DAY and len(times) > 10 and dates.dayofweek.max() < 5:
        return "B"
    for low, high, start, end in ((28, 31, "MS", "ME"), (90, 92, "QS", "QE"), (365, 366, "YS", "YE")):
        if low * DAY <= step <= high * DAY:
            return _of_calendar(dates, start, end)
    return to_offset(pandas.Timedelta(step)).freqstr


def _of_calendar(dates: "pandas.DatetimeIndex", start: str, end: str) -> str:
    """The frequency of periods that begin, or end, on these dates."""
    name = "" if start == "MS" else f"-{dates[0].strftime('%b').upper()}"
    return end + name if dates.is_month_end.all() and not dates.is_month_start.all() else start + name


@lru_cache(maxsize=64)
def _fixed(frequency: str) -> int | None:
    """Nanoseconds of a step; None where steps differ."""
    from pandas.tseries.frequencies import to_offset
    from pandas.tseries.offsets import Tick

    offset = to_offset(frequency)
    return int(offset.nanos) if isinstance(offset, Tick) else None


@lru_cache(maxsize=16)
def _marks(frequency: str) -> np.ndarray:
    """All times on a frequency whose steps differ, int64 ascending."""
    import pandas

    if frequency == "B":  # pandas takes two seconds for these
        days = np.arange(FIRST, LAST, dtype="datetime64[D]")
        return days[np.is_busday(days)].astype("datetime64[ns]").astype(np.int64)
    return pandas.date_range(FIRST, LAST, freq=frequency).to_numpy("datetime64[ns]").astype(np.int64)
