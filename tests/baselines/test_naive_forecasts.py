"""The forecasts without learning beside statsforecast's, and loops over their steps."""

import numpy as np
import pytest

from recurra.baselines.naive_forecasts import drift, naive, naive2, seasonal_naive

LEVELS = (0.1, 0.5, 0.9)


@pytest.fixture
def history():
    return np.random.default_rng(0).normal(0, 1, 50).cumsum() + 20


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::SyntaxWarning")
def test_they_are_those_of_statsforecast(history):
    models = pytest.importorskip("statsforecast.models")
    pairs = [
        (models.Naive(), naive(history[None], 9, LEVELS)),
        (models.SeasonalNaive(season_length=4), seasonal_naive(history[None], 9, LEVELS, 4)),
        (models.RandomWalkWithDrift(), drift(history[None], 9, LEVELS)),
    ]
    for model, found in pairs:
        expected = model.forecast(y=history, h=9, level=[80])
        np.testing.assert_allclose(found.mean[0], expected["mean"], rtol=1e-12)
        width = found.quantiles[0, :, 2] - found.quantiles[0, :, 0]
        ratio = width / (expected["hi-80"] - expected["lo-80"])
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-2)  # as wide, but for how they take the deviation
        assert ratio[0] == pytest.approx(1, rel=0.05)


def test_missing_values_are_gone_round():
    history = np.array([[1.0, 2, 3, 4, np.nan, 6, np.nan, np.nan], [np.nan, np.nan, 5, np.nan, np.nan, 8, 9, np.nan]])
    np.testing.assert_array_equal(naive(history, 2, LEVELS).mean, [[6, 6], [9, 9]])
    np.testing.assert_array_equal(seasonal_naive(history, 5, LEVELS, 4).mean, [[1, 6, 3, 4, 1], [9, 8, 9, 9, 9]])
    np.testing.assert_allclose(drift(history, 2, LEVELS).mean, [[6 + 3, 6 + 4], [9 + 2, 9 + 3]])


def test_a_single_value_is_repeated():
    for found in (naive, drift):
        forecast = found(np.array([[np.nan, 7.0]]), 2, LEVELS)
        assert forecast.mean.tolist() == [[7, 7]] and forecast.quantiles.tolist() == [[[7] * 3] * 2]


@pytest.mark.parametrize("season", [4, 7])
def test_naive2_is_that_of_a_loop(season):
    steps = np.arange(61)
    figure = np.random.default_rng(1).uniform(0.5, 1.5, season)
    history = (100 + steps) * figure[steps % season]
    half = season // 2
    ratios = {place: [] for place in range(season)}
    for step in range(half, len(history) - half):
        around = history[step - half : step + half + 1].copy()
        if season % 2 == 0:
            around[[0, -1]] /= 2
        ratios[step % season].append(history[step] / (around.sum() / season))
    found = np.array([np.mean(ratios[place]) for place in range(season)])
    found /= found.mean()
    expected = history[-1] / found[60 % season] * found[np.arange(61, 70) % season]
    np.testing.assert_allclose(naive2(history, 9, season), expected, rtol=1e-12)


def test_naive2_without_a_season_is_naive(history):
    assert naive2(history, 3, 7).tolist() == [history[-1]] * 3
    assert naive2(np.full(40, 3.0), 2, 4).tolist() == [3, 3]
    assert naive2(np.tile([1.0, 2], 2), 2, 2).tolist() == [2, 2]  # shorter than three seasons
