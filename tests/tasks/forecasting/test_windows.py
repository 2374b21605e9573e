"""What a network reads, beside slices of the table."""

import numpy as np
import pytest
import torch

from recurra.tasks.forecasting.batches import Origins, TrainingBatches, cuts_of
from recurra.tasks.forecasting.windows import Cuts, make_windows, sizes, truths
from tests.tasks.forecasting.files import sales

OPTIONS = {"known": "promotion", "past": "visitors", "static": "area", "dev_size": 10, "test_size": 20, "context": 10}


@pytest.fixture
def data(read):
    frame = sales(ahead=7)
    frame.loc[(frame.shop == "south") & (frame.date == "2025-03-03"), ["units", "visitors"]] = np.nan
    return read(frame, **OPTIONS)


def test_a_window_is_a_slice_of_the_table(data):
    frame = sales(ahead=7)
    south = frame[frame.shop == "south"].reset_index(drop=True)
    origin = 65  # 2025-03-07; 2025-03-03 is step 61, missing
    windows = make_windows(data, Cuts(np.array([1]), np.array([origin])), "series", training=True)
    context = slice(origin - 10, origin)
    units = south.units.to_numpy().copy()
    units[61] = np.nan
    own = windows.target[0].numpy() * data.deviation[1] + data.centre[1]
    expected = units[origin - 10 : origin + 7]
    there = ~np.isnan(expected)
    np.testing.assert_array_equal(windows.observed[0], there)
    np.testing.assert_allclose(own[there], expected[there], rtol=1e-5)
    assert windows.target[0, ~torch.tensor(there)].tolist() == [0]
    assert (windows.context, windows.horizon) == (10, 7)
    (p, s), (v, w), (a, b) = data.meaning.covariates
    promotion = windows.known[0, :, 0].numpy() * s + p
    np.testing.assert_allclose(promotion, south.promotion[origin - 10 : origin + 7], atol=1e-5)
    visitors = windows.past[0, :, 0].numpy() * w + v
    np.testing.assert_allclose(visitors[there[:10]], south.visitors[context][there[:10]], rtol=1e-5)
    np.testing.assert_array_equal(windows.past[0, :, 1], there[:10])
    assert windows.static[0].tolist() == pytest.approx([(200 - a) / b])
    assert windows.group.tolist() == [2]
    week = np.arctan2(*windows.known[0, :, 1:3].T.numpy()) / (2 * np.pi) % 1 * 7
    np.testing.assert_allclose(week, south.date[origin - 10 : origin + 7].dt.dayofweek, atol=1e-4)


@pytest.mark.parametrize("scaling", ["window", "series", "none", "mean"])
def test_scaling_can_be_undone(data, scaling):
    cuts = Cuts(np.array([0, 1]), np.array([40, 65]))
    windows = make_windows(data, cuts, scaling, training=True)
    own = windows.target * windows.scale[:, None] + windows.centre[:, None]
    expected = np.concatenate(
        [data.panel.values.stretch(0, 30, 47)[None, :, 0], data.panel.values.stretch(1, 55, 72)[None, :, 0]]
    )
    there = windows.observed.numpy()
    np.testing.assert_allclose(own.numpy()[there], expected[there], rtol=1e-5)
    context = [row[:10][~np.isnan(row[:10])] for row in expected]
    if scaling == "window":
        np.testing.assert_allclose(windows.centre, [row.mean() for row in context], rtol=1e-6)
        np.testing.assert_allclose(windows.scale, [row.std() for row in context], rtol=1e-6)
        level = [(row.mean() - data.centre[number]) / data.deviation[number] for number, row in enumerate(context)]
        np.testing.assert_allclose(windows.static[:, 1], level, rtol=1e-5)
    if scaling == "mean":
        assert windows.centre.tolist() == [0, 0]
        np.testing.assert_allclose(windows.scale, [row.mean() for row in context], rtol=1e-6)


def test_sizes_are_those_of_windows(data):
    for scaling in ("window", "series"):
        windows = make_windows(data, Cuts(np.array([0]), np.array([40])), scaling)
        found = (windows.known.shape[2], windows.past.shape[2], windows.static.shape[1])
        assert found == sizes(data.meaning, scaling)
        assert windows.target.shape == (1, 10)  # prediction sees no horizon


def test_before_a_series_begins_nothing_is_observed(data):
    windows = make_windows(data, Cuts(np.array([0]), np.array([4])), "window")
    assert windows.observed[0].tolist() == [False] * 6 + [True] * 4 and windows.target[0, :6].tolist() == [0] * 6
    assert np.isfinite(windows.known.numpy()).all()


def test_a_flat_context_is_scaled_by_the_series(read):
    frame = sales()
    frame.loc[(frame.shop == "north") & frame.date.between("2025-02-01", "2025-02-20"), "units"] = 7.0
    data = read(frame, **{**OPTIONS, "known": (), "past": ()})
    windows = make_windows(data, Cuts(np.array([0]), np.array([45])), "window")
    assert windows.centre.tolist() == [7] and windows.scale[0].item() == pytest.approx(data.deviation[0])


def test_every_origin_of_a_part_once(data):
    horizon = data.meaning.horizon
    for part in ("train", "dev", "test"):
        begin, end = {"train": (10, 90), "dev": (90, 100), "test": (100, 120)}[part]
        cuts = Origins(data, part).all(10_000)
        expected = [(series, origin) for series in (0, 1) for origin in range(begin, end - horizon + 1)]
        assert list(zip(cuts.series.tolist(), cuts.origin.tolist(), strict=True)) == expected
    some = Origins(data, "test").all(5)
    assert some.origin.tolist()[0] == 100 and some.origin.tolist()[-1] == 113 and len(some) == 5
    spread = Origins(data, "test", stride=4, most=3)
    assert spread[np.arange(len(spread))].origin.tolist() == [105, 109, 113] * 2


def test_a_series_shorter_than_a_context_has_its_last_window(read):
    data = read(sales(), context=200)
    assert Origins(data, "train").all(100).origin.tolist() == [89, 89]


def test_an_epoch_has_every_window_once_in_an_order_of_its_own(data):
    def drawn(epoch, most=10_000, seed=0):
        batches = TrainingBatches(data, "series", 32, most=most, seed=seed, epoch=epoch)
        found = [batches[number] for number in range(len(batches))]
        return torch.cat([each.target for each in found]), torch.cat([each.group for each in found])

    (first, _), (again, _), (second, _) = drawn(0), drawn(0), drawn(1)
    torch.testing.assert_close(first, again)
    assert len(first) == 2 * (90 - 7 - 10 + 1) and not torch.equal(first, second)
    torch.testing.assert_close(first.sort(0).values, second.sort(0).values)
    assert len(drawn(0, most=50)[0]) == 50


def test_truths_end_with_their_part(data):
    cuts = cuts_of(data, "test")
    found = truths(data, cuts)
    assert not np.isnan(found).any()
    np.testing.assert_array_equal(found[-1], data.panel.values.stretch(1, 113, 120)[:, 0])
    beyond = truths(data, Cuts(np.array([0]), np.array([117])))
    assert np.isnan(beyond[0]).tolist() == [False] * 3 + [True] * 4
