"""Cells as numbers and times, beside pandas' own parsing; and what is refused by its row."""

import numpy as np
import pandas as pd
import pytest

from recurra.data.panel.cells import TimeKind, names, numbers, times
from recurra.errors import BadInput


def place(row):
    return f"table: line {row + 2}"


def series(*cells, name="units", start=0):
    return pd.Series(cells, index=range(start, start + len(cells)), name=name, dtype=object)


def test_text_is_a_number_or_missing():
    found = numbers(series("1.5", " 2 ", "", "NaN", "null", "-3e2"), place)
    np.testing.assert_array_equal(found, [1.5, 2, np.nan, np.nan, np.nan, -300])
    typed = pd.Series([1, None, 3], dtype="Int64", name="units")
    np.testing.assert_array_equal(numbers(typed, place), [1, np.nan, 3])
    np.testing.assert_array_equal(numbers(pd.Series([True, False], name="x"), place), [1, 0])


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (series("1", "2,5", start=7), "table: line 10: 'units' holds '2,5', no number"),
        (series("1", "inf"), "table: line 3: 'units' is infinite"),
        (pd.Series([1.0, -np.inf], name="units"), "table: line 3: 'units' is infinite"),
        (pd.Series(pd.to_datetime(["2026-01-01"]), name="units"), "table: line 2: 'units' holds 2026-01-01"),
    ],
)
def test_what_is_no_number(cells, said):
    with pytest.raises(BadInput, match=said):
        numbers(cells, place)


def test_dates_are_nanoseconds():
    found, kind = times(series("2026-01-31", "2026-02-01 13:30"), place, None)
    assert kind == TimeKind("date") and found.tolist() == [1769817600 * 10**9, 1769952600 * 10**9]
    for cells, form in ((series("31.01.2026"), "%d.%m.%Y"), (series("20260131"), None), (series("2026-01-31"), None)):
        assert times(cells, place, form)[0].tolist() == [1769817600 * 10**9]


def test_an_offset_is_kept_and_taken_off():
    found, kind = times(series("2026-01-01T01:00:00+01:00", "2026-01-01T02:00:00+01:00"), place, None)
    assert kind == TimeKind("date", "+01:00") and found[0] == pd.Timestamp("2026-01-01").value
    typed = pd.Series(pd.date_range("2026-01-01", periods=2, freq="h", tz="Europe/Berlin"), name="t")
    found, kind = times(typed, place, None)
    assert kind.zone == "Europe/Berlin" and found[0] == pd.Timestamp("2025-12-31 23:00").value


def test_whole_numbers_stay_numbers():
    found, kind = times(series("1821", "1822"), place, None)
    assert kind == TimeKind("number") and found.tolist() == [1821, 1822]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (series("2026-01-01", "soon"), "table: line 3: 'units' holds 'soon', no date of ISO 8601"),
        (series("2026-01-01", None), "table: line 3: 'units' is empty"),
        (
            series("2026-01-01 00:00", "2026-01-01 01:00Z"),
            "table: line 3: 'units' states Z where the rows before state no",
        ),
        (series("2026-01-01 00:00+01:00", "2026-01-01 01:00+02:00"), "line 3: 'units' states .02:00 where .* .01:00"),
    ],
)
def test_what_is_no_time(cells, said):
    with pytest.raises(BadInput, match=said):
        times(cells, place, None)


def test_a_series_without_a_name():
    assert names(series("a", " b "), place).tolist() == ["a", "b"]
    with pytest.raises(BadInput, match="line 3: 'units' is empty"):
        names(series("a", ""), place)
