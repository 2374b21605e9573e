"""Steps of every frequency against pandas' own date ranges."""

import numpy as np
import pandas as pd
import pytest

from recurra.data.panel.calendar import calendar, turns
from recurra.data.panel.grid import Grid, infer, read_frequency, season_of
from recurra.errors import BadInput

FREQUENCIES = ["h", "15min", "D", "7D", "B", "MS", "ME", "QS-FEB", "YS-JAN", "YE-DEC"]


def nanoseconds(dates):
    return dates.to_numpy("datetime64[ns]").astype(np.int64)


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_steps_and_times_are_those_of_a_date_range(frequency):
    times = nanoseconds(pd.date_range("2023-06-07", periods=30, freq=frequency))
    grid = Grid(frequency, "date")
    np.testing.assert_array_equal(grid.steps(times, times[[0]]), np.arange(30))
    np.testing.assert_array_equal(grid.times(times[[3]], np.arange(-3, 27)), times)
    np.testing.assert_array_equal(grid.steps_before(times, int(times[10])), 10 - np.arange(30))
    assert grid.steps_before(times[[0]], int(times[10]) + 1)[0] == 11
    assert (grid.steps(times[1:] + 1, times[[0]]) == -1).all()


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_a_frequency_is_told_although_rows_are_missing(frequency):
    dates = pd.date_range("2023-06-07", periods=40, freq=frequency)
    found = infer(nanoseconds(dates.delete([7, 8, 20])), "date")
    np.testing.assert_array_equal(pd.date_range(dates[0], periods=40, freq=found), dates)


def test_numbers_have_a_step():
    assert infer(np.array([3, 5, 7, 11]), "number") == "2"
    assert Grid("2", "number").steps(np.array([3, 5, 6, 11]), np.array([3])).tolist() == [0, 1, -1, 4]


def test_days_are_those_of_the_clock_and_hours_those_of_utc():
    assert Grid("D", "date", "Europe/Berlin").by_the_clock and not Grid("h", "date", "Europe/Berlin").by_the_clock
    hours = Grid("h", "date", "Europe/Berlin")
    shown = hours.shown(hours.times(np.array([pd.Timestamp("2026-03-29 00:00").value]), np.arange(3)))
    assert [str(time) for time in shown.tz_localize(None)] == [
        "2026-03-29 01:00:00", "2026-03-29 03:00:00", "2026-03-29 04:00:00",
    ]  # fmt: skip
    assert hours.read("2026-03-29 03:00", "--as-of") == pd.Timestamp("2026-03-29 01:00").value


def test_seasons_where_nothing_is_said():
    found = {
        frequency: season_of(frequency, "date") for frequency in ("h", "15min", "D", "7D", "B", "MS", "QS-JAN", "YS")
    }
    assert found == {"h": 24, "15min": 96, "D": 7, "7D": 52, "B": 5, "MS": 12, "QS-JAN": 4, "YS": 1}


def test_a_frequency_that_there_is_not():
    with pytest.raises(BadInput, match="--frequency hourly: unknown"):
        read_frequency("hourly", "date")
    with pytest.raises(BadInput, match="--frequency h: times are numbers here"):
        read_frequency("h", "number")
    assert read_frequency("W", "date") == "7D"


def test_the_calendar_is_that_of_pandas():
    grid, dates = Grid("h", "date"), pd.date_range("2024-02-27 05:00", periods=200, freq="7h")
    assert turns(grid) == ("day", "week", "month", "year")
    found = calendar(grid, nanoseconds(dates))
    day = (dates.hour + dates.minute / 60) / 24
    parts = {
        "day": day,
        "week": (dates.dayofweek + day) / 7,
        "month": (dates.day - 1 + day) / dates.days_in_month,
        "year": (dates.dayofyear - 1 + day) / np.where(dates.is_leap_year, 366, 365),
    }
    expected = np.stack([turn(2 * np.pi * part) for part in parts.values() for turn in (np.sin, np.cos)], 1)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_the_calendar_is_that_of_the_zone():
    utc, berlin = Grid("h", "date"), Grid("h", "date", "Europe/Berlin")
    times = nanoseconds(pd.date_range("2026-07-01", periods=4, freq="h"))
    np.testing.assert_allclose(calendar(berlin, times), calendar(utc, times + 2 * 3600 * 10**9), atol=1e-6)


def test_longer_steps_turn_less_often():
    found = {frequency: turns(Grid(frequency, "date")) for frequency in ("15min", "D", "7D", "MS")}
    assert found == {
        "15min": ("hour", "day", "week", "month", "year"),
        "D": ("week", "month", "year"),
        "7D": ("month", "year"),
        "MS": ("month", "year"),
    }
    assert turns(Grid("1", "number")) == ()
