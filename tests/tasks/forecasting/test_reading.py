"""Where the parts of series begin, and what their numbers are scaled by, beside pandas."""

import numpy as np
import pandas as pd
import pytest

from recurra.errors import BadInput
from recurra.tasks.forecasting.config import Config
from recurra.tasks.forecasting.reading import Meaning, keep_series, read_series, read_with
from recurra.tasks.sources import Sources
from tests.tasks.forecasting.conftest import COLUMNS
from tests.tasks.forecasting.files import sales


def test_series_are_parted_at_the_same_dates(read):
    frame = sales(("a", "b"))
    late = frame[(frame.shop == "a") | (frame.date >= "2025-02-01")]  # b opens a month later
    early = late[(late.shop == "b") | (late.date < "2025-04-20")]  # a closes before the end
    data = read(early, dev_size=10, test_size=20)
    test, dev = pd.Timestamp("2025-04-30") - pd.Timedelta(days=19), pd.Timestamp("2025-04-30") - pd.Timedelta(days=29)
    for name, rows in early.groupby("shop"):
        number = data.panel.numbers[name]
        assert data.split.test[number] == (rows.date < test).sum()
        assert data.split.dev[number] == (rows.date < dev).sum()
        before = rows.units[rows.date < dev]
        assert data.centre[number] == pytest.approx(before.mean()) and data.deviation[number] == pytest.approx(
            before.std(ddof=0)
        )


def test_sizes_where_nothing_is_said(read):
    data = read(sales(days=200))
    assert (data.split.end - data.split.test).tolist() == [20, 20] and (data.split.test - data.split.dev).tolist() == [
        20,
        20,
    ]
    assert (read(sales(days=50)).split.test).tolist() == [43, 43]  # at least the horizon
    from_start = read(sales(), train_size=60, dev_size=20, test_size=15)
    assert [each.tolist() for each in from_start.split] == [[60, 60], [80, 80], [95, 95]]
    until = read(sales(), until="2025-03-31")
    assert until.split.end.tolist() == [90, 90]
    assert (until.meaning.season, until.meaning.context) == (7, 14)


def test_covariates_are_scaled_by_the_training_part_alone(read):
    frame = sales(ahead=7)
    data = read(frame, known="promotion", past="visitors", static="area", dev_size=10, test_size=20)
    before = frame[frame.date < "2025-04-01"]
    expected = [(before[name].mean(), before[name].std(ddof=0)) for name in ("promotion", "visitors")] + [(150, 50)]
    np.testing.assert_allclose(data.meaning.covariates, expected)


def test_a_run_folder_holds_what_reading_needs(read, tmp_path):
    data = read(sales(ahead=7), known="promotion", static="area")
    keep_series(data, tmp_path)
    loaded = Meaning.load(tmp_path)
    np.testing.assert_array_equal(loaded.covariates, data.meaning.covariates)
    assert {**vars(loaded), "covariates": 0} == {**vars(data.meaning), "covariates": 0}
    config = Config(**COLUMNS, known=("promotion",), static=("area",))
    again = read_with(Sources.named([tmp_path / "sales.csv"], None, None), config, tmp_path, parted=True)
    assert again.group.tolist() == [1, 2] and [each.tolist() for each in again.split] == [
        each.tolist() for each in data.split
    ]
    other = sales(("south", "east"), ahead=7, seed=5)
    other.to_csv(tmp_path / "other.csv", index=False)
    tested = read_with(Sources.named([tmp_path / "other.csv"], None, None), config, tmp_path, parted=False)
    assert tested.group.tolist() == [2, 0]
    assert tested.centre[0] == data.centre[1]  # that of training
    mean = other.units[other.shop == "east"][: tested.split.test[1]].mean()
    assert tested.centre[1] == pytest.approx(mean)  # its own, before what is scored
    (tmp_path / "panel.json").write_text("{}")
    with pytest.raises(BadInput, match="panel.json: damaged"):
        Meaning.load(tmp_path)


def test_what_cannot_be_parted(read):
    with pytest.raises(
        BadInput, match=r"sales.csv: line 2: the longest series, 'north', has 12 steps, 0 of them to train"
    ):
        read(sales(days=12))
    with pytest.raises(BadInput, match="line 2: no series has 7 steps in the test part .* give a larger --test-size"):
        read(sales(), test_size=5)
    with pytest.raises(BadInput, match="--horizon: say how many steps"):
        read(sales(), horizon=None)


def test_short_and_constant_series_are_told(read, capsys):
    frame = sales(("a", "b", "c"))
    frame = frame[(frame.shop != "b") | (frame.date > "2025-04-05")]
    frame.loc[frame.shop == "c", "units"] = 4.0
    data = read(frame)
    said = capsys.readouterr().err
    assert "sales.csv: line 122: the series 'b' is too short to train on (1 steps in the training part)" in said
    assert "the series 'c' is constant in the training part" in said and data.deviation[data.panel.numbers["c"]] == 1


def test_steps_of_another_frequency_are_refused(read, tmp_path):
    keep_series(read(sales()), tmp_path)
    weekly = sales().iloc[::7]
    weekly.to_csv(tmp_path / "weekly.csv", index=False)
    hourly = sales().assign(
        date=lambda each: each.groupby("shop").cumcount().map(lambda h: f"2025-01-{1 + h // 24:02} {h % 24:02}:00")
    )
    hourly.to_csv(tmp_path / "hourly.csv", index=False)
    with pytest.raises(BadInput, match="hourly.csv: line 3: this time is not a whole number of steps of D"):
        read_with(Sources.named([tmp_path / "hourly.csv"], None, None), Config(**COLUMNS), tmp_path, parted=False)


@pytest.mark.parametrize("name", ["etth1", "m4-hourly", "exchange-rate", "airline"])
@pytest.mark.skipif(
    "RECURRA_DATA" not in __import__("os").environ, reason="RECURRA_DATA is not set: no packed data here"
)
def test_public_sets_are_parted_as_published(name):
    horizon = None if name in ("m4-hourly", "airline") else 24
    data = read_series(Sources.named([name], None, None), Config(horizon=horizon))
    parts = {
        "etth1": (8640, 11_520, 14_400, 7, 24, "mse"),
        "exchange-rate": (4552, 6070, 7588, 8, 1, "mse"),
        "airline": (96, 120, 144, 1, 12, "mase"),
        "m4-hourly": (652, 700, 748, 414, 24, "owa"),
    }
    found = (
        data.split.dev[0],
        data.split.test[0],
        data.split.end[0],
        len(data.panel),
        data.meaning.season,
        data.meaning.score,
    )
    assert found == parts[name]
