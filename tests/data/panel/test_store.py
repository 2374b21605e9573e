"""Series on disk beside the same ones grouped by pandas; and every table that is refused, by its row."""

import os

import numpy as np
import pandas as pd
import pytest

from recurra.data.panel import store
from recurra.data.panel.columns import PanelColumns
from recurra.data.panel.store import keep_panel
from recurra.errors import BadInput
from tests.tasks.forecasting.files import sales

SHOPS = PanelColumns(
    time="date", target=("units",), group=("shop",), known=("promotion",), past=("visitors",), static=("area",)
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def read(tmp_path):
    def of(frame, columns=SHOPS, name="sales.csv"):
        path = tmp_path / name
        if isinstance(frame, str):
            path.write_text(frame)
        elif name.endswith(".parquet"):
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False)
        return keep_panel([(path, "train")], columns)

    return of


def check(panel, frame):
    groups = dict(iter(frame.groupby("shop", sort=False)))
    assert sorted(panel.numbers) == sorted(groups)
    for name, rows in groups.items():
        number = panel.numbers[name]
        expected = rows[["units", "promotion", "visitors"]].to_numpy(np.float64)
        np.testing.assert_array_equal(panel.values[number], expected)
        assert panel.observed[number] == rows.units.notna().to_numpy().nonzero()[0][-1] + 1
        assert panel.starts[number] == rows.date.iloc[0].value and panel.static[number] == rows.area.iloc[0]


@pytest.mark.parametrize("name", ["sales.csv", "sales.csv.gz", "sales.tsv", "sales.parquet"])
def test_a_long_table_is_its_groups(read, name):
    frame = sales(("c", "a", "b"), ahead=5)
    frame.loc[17, "units"] = np.nan
    panel = read(frame.to_csv(sep="\t", index=False) if name.endswith(".tsv") else frame, name=name)
    check(panel, frame)
    assert [panel.names[number] for number in range(3)] == ["c", "a", "b"] and panel.grid.frequency == "D"


def test_rows_in_the_order_of_time_are_the_same_series(read):
    frame = sales(("a", "b"))
    check(read(frame.sort_values("date", kind="stable")), frame)


def test_series_many_times_the_memory_are_the_same(read, monkeypatch):
    frame = sales(tuple("abcdefgh"), days=50)
    monkeypatch.setattr(store, "MOST_ROWS", 100)
    monkeypatch.setattr("recurra.data.panel.frames.BLOCK", 30)
    panel = read(frame.sort_values("date", kind="stable"), name="sales.parquet")
    check(panel, frame)
    assert not list((store.cached("panels")).glob("**/*.arrow"))


def test_lengths_differ_and_gaps_stay_missing(read, capsys):
    frame = sales(("a", "b")).drop(columns=["promotion"])
    kept = frame.drop(index=[*range(0, 30), 50, 51])
    panel = read(kept, SHOPS._replace(known=()))
    assert panel.values.lengths.tolist() == [90, 120]
    found = panel.values[0][:, 0]
    expected = frame.units[30:120].to_numpy()
    expected[[20, 21]] = np.nan
    np.testing.assert_array_equal(found, expected)
    assert (
        "sales.csv: line 22: 2 steps of the series 'a' are missing before this row; 2 in all" in capsys.readouterr().err
    )


def test_a_stretch_is_a_part_of_a_series(read):
    panel = read(sales(("a", "b")))
    np.testing.assert_array_equal(panel.values.stretch(1, 7, 11), panel.values[1][7:11])
    with pytest.raises(ValueError, match="case 1 has 120 steps; asked for 7 up to 121"):
        panel.values.stretch(1, 7, 121)


def test_wide_tables_and_rows(read, tmp_path):
    frame = sales(("a", "b")).pivot(index="date", columns="shop", values="units")
    wide = read(frame.reset_index(), PanelColumns("wide"))
    np.testing.assert_array_equal(wide.values[wide.numbers["b"]][:, 0], frame.b)
    assert wide.grid.frequency == "D"
    one = read(frame.reset_index(), PanelColumns("wide", target=("b",)))
    assert len(one) == 1 and one.names[0] == "b"
    text = "\n".join(["id,v1,v2,v3,v4", "a,1,2,3,4", "b,5,,6,", "c,7,8,,"])
    rows = read(text, PanelColumns("rows"))
    assert [rows.values[number][:, 0].tolist() for number in (0, 2)] == [[1, 2, 3, 4], [7, 8]]
    np.testing.assert_array_equal(rows.values[1][:, 0], [5, np.nan, 6])
    (tmp_path / "more.csv").write_text("id,v1\na,9\nb,10\nc,11\n")
    both = keep_panel([(tmp_path / "sales.csv", "train"), (tmp_path / "more.csv", "test")], PanelColumns("rows"))
    assert both.values[0][:, 0].tolist() == [1, 2, 3, 4, 9] and both.test.tolist() == [4, 3, 2]


def test_a_table_of_numbers_alone_has_no_header(read):
    panel = read("0.5,1\n0.6,2\n0.7,3\n", PanelColumns("wide"))
    assert panel.values[0][:, 0].tolist() == [0.5, 0.6, 0.7] and panel.names[1] == "2" and panel.grid.unit == "number"


def test_several_columns_name_a_series(read):
    frame = sales(("a", "b")).assign(item=["x", "y"] * 120)
    frame = frame[frame.item == "x"]
    panel = read(frame, PanelColumns(time="date", target=("units",), group=("shop", "item")))
    assert [panel.names[number] for number in range(2)] == ["a/x", "b/x"] and panel.grid.frequency == "2D"


def test_the_second_reading_is_from_the_cache(read, tmp_path, monkeypatch):
    first = read(sales())
    monkeypatch.setattr(store, "_write", None)
    np.testing.assert_array_equal(read(sales()).values[1], first.values[1])


def hourly(*times, values=None):
    return pd.DataFrame({"ds": times, "y": values or range(len(times)), "unique_id": "a"})


CLOCK = [f"2025-10-26 0{hour}:00" for hour in (0, 1, 2, 2, 3)]

TABLES = {
    "a time twice": (
        hourly("2026-01-01", "2026-01-02", "2026-01-02"),
        "line 4: a time of the series 'a' is there twice",
    ),
    "unsorted": (hourly("2026-01-01", "2026-01-03", "2026-01-02"), "line 4: a time of the series 'a' goes back; sort"),
    "irregular": (
        hourly("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-03 13:00", "2026-01-04 13:00"),
        "line 5: this time is not a whole number of steps of D",
    ),
    "clocks go back": (hourly(*CLOCK), "line 5: .* is there twice; clocks go back on such a day: write times in UTC"),
    "zones mixed": (hourly("2026-01-01 00:00Z", "2026-01-01 01:00"), "line 3: 'ds' states no time zone where"),
    "one row": (hourly("2026-01-01"), "line 2: no series has a second row"),
    "text": (hourly("2026-01-01", "2026-01-02", values=["1", "two"]), "line 3: 'y' holds 'two', no number"),
    "infinite": (hourly("2026-01-01", "2026-01-02", values=["1", "-inf"]), "line 3: 'y' is infinite"),
    "nothing observed": (
        hourly("2026-01-01", "2026-01-02", values=["", ""]),
        "line 2: nothing was observed of the series",
    ),
    "another century": (
        hourly("2026-01-01", "2026-01-02", "2026-01-03", "2126-01-03"),
        "line 5: 36,524 steps of D behind the row before",
    ),
    "a column twice": ("ds,y,y\n2026-01-01,1,2\n", "line 1: the column 'y' is there twice; rename one"),
    "a broken row": ("ds,y\n2026-01-01,1\n2026-01-02\n", "line 3: 1 cells where the header has 2"),
    "no time": ("when,y\n2026-01-01,1\n", "no column of times among when, y; name it by --time"),
    "no rows": ("ds,y\n", "has no rows below its header"),
}


@pytest.mark.parametrize("name", TABLES)
def test_what_is_refused_names_the_row(read, name):
    frame, said = TABLES[name]
    with pytest.raises(
        BadInput, match=f"sales.csv: .*{said}" if name in ("no time", "no rows") else f"sales.csv: {said}"
    ):
        read(frame, PanelColumns())
    assert not list(store.cached("panels").glob("*/panel.json"))


def test_rows_of_parquet_are_counted(read):
    with pytest.raises(BadInput, match="sales.parquet: row 3: a time of the series 'a' is there twice"):
        read(hourly("2026-01-01", "2026-01-02", "2026-01-02"), PanelColumns(), "sales.parquet")
    frame = pd.DataFrame([["2026-01-01", 1.0, 2.0]], columns=["ds", "y", "x"])
    with pytest.raises(BadInput, match="sales.parquet: header: unknown column 'z'.* name it by --known"):
        read(frame, PanelColumns(known=("z",)), "sales.parquet")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda frame: frame.drop(index=[5]),
            "line 7: 1 rows of the series 'north' are missing before this one, and cov",
        ),
        (
            lambda frame: frame.assign(promotion=frame.promotion.where(frame.index != 3)),
            "line 5: a covariate known ahead",
        ),
        (lambda frame: frame.assign(area=frame.area.where(frame.index != 3)), "line 5: a static feature is missing"),
        (
            lambda frame: frame.assign(area=frame.area.where(frame.index != 3, 7)),
            "line 5: a static feature changes within",
        ),
    ],
)
def test_covariates_that_are_refused(read, change, said):
    with pytest.raises(BadInput, match=said):
        read(change(sales()))


def kinds(shops=("north", "south"), **options):
    """Sales whose promotions and areas are words."""
    frame = sales(shops, **options)
    frame["promotion"] = np.where(frame.promotion == 1, np.where(frame.date.dt.day < 9, "half price", "none"), " no ")
    return frame.assign(area=np.where(frame.area > 150, "large", "small"))


WORDS = SHOPS._replace(categories=("promotion", "area"))


@pytest.mark.parametrize("name", ["sales.csv", "sales.parquet"])
def test_words_are_the_dummies_of_pandas(read, name):
    frame = kinds(ahead=3)
    plain = frame.assign(promotion=frame.promotion.str.strip())
    dummies = pd.get_dummies(plain, columns=["promotion", "area"], prefix_sep="=", dtype=float)
    known = tuple(sorted(column for column in dummies if column.startswith("promotion=")))
    static = ("area=large", "area=small")
    found, wanted = (
        read(frame, WORDS, name),
        read(dummies, SHOPS._replace(known=known, static=static), f"dummies-{name}"),
    )
    assert (found.columns.known, found.columns.static) == (known, static) and len(known) == 3
    np.testing.assert_array_equal(found.static, wanted.static)
    for number in range(2):
        np.testing.assert_array_equal(found.values[number], wanted.values[number])


@pytest.mark.parametrize(
    ("change", "columns", "said"),
    [
        (lambda frame: frame, SHOPS, "line 2: 'promotion' holds .* name a covariate of words by --categories"),
        (lambda frame: frame, WORDS._replace(static=()), "header: --categories area: is no covariate; name it by --kn"),
        (
            lambda frame: frame.assign(promotion=frame.index.astype(str)),
            WORDS,
            "'promotion' has more than 100 words; leave it out of --categories",
        ),
        (
            lambda frame: frame.assign(promotion=frame.promotion.where(frame.index != 3)),
            WORDS,
            "line 5: a covariate known ahead is missing",
        ),
        (lambda frame: frame.assign(area=frame.area.where(frame.index != 3)), WORDS, "line 5: a static feature is mis"),
        (
            lambda frame: frame.assign(area=frame.area.where(frame.index != 3, "large")),
            WORDS,
            "line 5: a static feature changes within",
        ),
        (
            lambda frame: frame,
            WORDS.spelled_out({"promotion": ["half price", "no"], "area": ["large", "small"]}),
            r"line \d+: 'promotion' holds 'none', which training did not have \(half price, no\); mend it",
        ),
    ],
)
def test_words_that_are_refused(read, change, columns, said):
    with pytest.raises(BadInput, match=f"sales.csv: {said}"):
        read(change(kinds()), columns)


def test_one_column_for_two_things(read):
    with pytest.raises(BadInput, match="the column 'promotion' is both --known and --past"):
        read(sales(), SHOPS._replace(past=("promotion",)))
    with pytest.raises(BadInput, match="every column is a series"):
        read(sales(), SHOPS._replace(layout="wide", group=(), static=(), past=(), target=("units",)))
    with pytest.raises(BadInput, match="every row is a series"):
        read(sales(), PanelColumns("rows", known=("promotion",), categories=("promotion",)))


def test_the_spring_gap_is_told(read, capsys):
    read(hourly(*(f"2026-03-29 0{hour}:00" for hour in (0, 1, 3, 4))), PanelColumns())
    said = capsys.readouterr().err
    assert "line 4: 1 steps of the series 'a' are missing" in said and "clocks go forward on such a day" in said


def test_days_of_a_zone_are_days_when_clocks_change(read):
    times = pd.date_range("2026-03-27", periods=5, freq="D", tz="Europe/Berlin")
    panel = read(pd.DataFrame({"ds": times, "y": range(5)}), PanelColumns(), "zone.parquet")
    assert panel.grid.frequency == "D" and panel.values.lengths.tolist() == [5]
    shown = panel.grid.shown(panel.grid.times(panel.starts, np.arange(5)))
    assert list(shown) == list(times)


@pytest.mark.skipif("RECURRA_DATA" not in os.environ, reason="RECURRA_DATA is not set: no packed data sets here")
def test_the_m4_series_have_the_lengths_of_the_competition():
    from recurra.data.catalogue import locate

    files = locate("m4-hourly")
    panel = keep_panel([(files["train"], "train"), (files["test"], "test")], PanelColumns("rows"))
    assert len(panel) == 414 and sorted(set(panel.test.tolist())) == [700, 960]
    assert (panel.observed - panel.test == 48).all()
