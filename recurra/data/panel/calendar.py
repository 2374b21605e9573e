"""What a date is, as numbers that a network reads: turns of the clock and of the calendar."""

from typing import Any

import numpy as np

from recurra.data.panel.grid import DAY, Grid

WEEK, YEAR = 7, 365.2425  # days


def turns(grid: Grid) -> tuple[str, ...]:
    """The cycles that steps of a frequency move within: those longer than a step; none where times are numbers."""
    if grid.unit == "number":
        return ()
    step = grid.step or (DAY if grid.frequency.startswith("B") else 28 * DAY)
    cycles = {"hour": DAY / 24, "day": DAY, "week": WEEK * DAY, "month": 30 * DAY, "year": YEAR * DAY}
    return tuple(name for name, length in cycles.items() if step < length)


def calendar(grid: Grid, times: np.ndarray) -> np.ndarray:
    """Where in each of the :func:`turns` every time is, as sine and cosine: (..., 2 turns) float32.

    Args:
        times: (...) int64, as of the grid.
    """
    names = turns(grid)
    found = np.empty((*times.shape, 2 * len(names)), np.float32)
    if not names:
        return found
    dates: Any = times.astype("datetime64[ns]")
    if grid.zone is not None and not grid.by_the_clock:
        dates = grid.shown(times.reshape(-1)).tz_localize(None).to_numpy().reshape(times.shape)
    days = dates.astype("datetime64[D]")
    since_midnight = (dates - days).astype(np.int64) / DAY
    for number, name in enumerate(names):
        angle = 2 * np.pi * _part(name, days, since_midnight)
        found[..., 2 * number], found[..., 2 * number + 1] = np.sin(angle), np.cos(angle)
    return found


def _part(name: str, days: Any, since_midnight: np.ndarray) -> np.ndarray:
    """The part of a cycle that is over, 0 to 1."""
    if name in ("hour", "day"):
        return since_midnight * (24 if name == "hour" else 1)
    if name == "week":
        return ((days.astype(np.int64) + 3) % WEEK + since_midnight) / WEEK  # 1970-01-01 was a Thursday
    unit = "M" if name == "month" else "Y"
    begin = days.astype(f"datetime64[{unit}]")
    length = ((begin + 1).astype("datetime64[D]") - begin.astype("datetime64[D]")).astype(np.int64)
    return ((days - begin.astype("datetime64[D]")).astype(np.int64) + since_midnight) / length
