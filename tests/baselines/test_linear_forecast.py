"""The linear model beside least squares by hand, and the figures known of ETTh1."""

import os
from pathlib import Path

import numpy as np
import pytest

from recurra.baselines.linear_forecast import PENALTIES, LinearForecast

LEVELS = (0.1, 0.5, 0.9)


def windows(values, length, horizon):
    found = np.lib.stride_tricks.sliding_window_view(values, length + horizon)
    return found[:, :length].copy(), found[:, length:].copy()


def by_hand(pairs, penalty):
    """Ridge by least squares of a larger system, the intercept free."""
    x, y = pairs[0] - pairs[0][:, -1:], pairs[1] - pairs[0][:, -1:]
    centre = x.mean(0), y.mean(0)
    stacked = np.vstack([x - centre[0], np.sqrt(penalty) * np.eye(x.shape[1])])
    weight = np.linalg.lstsq(stacked, np.vstack([y - centre[1], np.zeros((x.shape[1], y.shape[1]))]), rcond=None)[0]
    return weight, centre[1] - centre[0] @ weight


def test_it_is_least_squares_with_the_best_penalty():
    draw = np.random.default_rng(0)
    values = np.sin(np.arange(400) / 3) + draw.normal(0, 0.2, 400)
    train, dev, test = (windows(values[begin:end], 6, 3) for begin, end in ((0, 250), (250, 330), (330, 400)))
    found = LinearForecast.fit([(train[0][:100], train[1][:100]), (train[0][100:], train[1][100:])], dev, LEVELS)

    def said(weight, bias, pairs):
        return pairs[0][:, -1:] + (pairs[0] - pairs[0][:, -1:]) @ weight + bias

    tried = [by_hand(train, penalty) for penalty in PENALTIES]
    errors = [((dev[1] - said(*each, dev)) ** 2).mean() for each in tried]
    best = tried[int(np.argmin(errors))]
    forecast = found.forecast(test[0])
    np.testing.assert_allclose(forecast.mean, said(*best, test), rtol=1e-8)
    expected = np.quantile(dev[1] - said(*best, dev), LEVELS, axis=0).T
    np.testing.assert_allclose(
        forecast.quantiles - forecast.mean[:, :, None], np.tile(expected, (len(test[0]), 1, 1)), atol=1e-8
    )
    assert found.parameters == 6 * 3 + 3 and found.length == 6


def test_missing_values_are_carried_and_windows_without_an_answer_left_out():
    values = np.random.default_rng(1).normal(size=200)
    train = windows(values, 5, 2)
    broken = (train[0].copy(), train[1].copy())
    broken[1][::7, 0] = np.nan
    whole = (np.delete(train[0], np.s_[::7], 0), np.delete(train[1], np.s_[::7], 0))
    found, expected = (LinearForecast.fit([each], train, LEVELS) for each in (broken, whole))
    np.testing.assert_allclose(found.weight, expected.weight, rtol=1e-10)
    gap = np.array([[np.nan, 1.0, np.nan, 3.0, np.nan]])
    carried = np.array([[3.0, 1.0, 1.0, 3.0, 3.0]])  # before the first it is at the level
    np.testing.assert_allclose(found.forecast(gap).mean, found.forecast(carried).mean, rtol=1e-12)
    with pytest.raises(ValueError, match="no whole window"):
        LinearForecast.fit([(train[0], np.full_like(train[1], np.nan))], train, LEVELS)


@pytest.mark.skipif("RECURRA_DATA" not in os.environ, reason="RECURRA_DATA is not set: no packed data sets here")
def test_etth1_is_forecast_as_well_as_is_known():
    import pandas as pd

    table = pd.read_csv(Path(os.environ["RECURRA_DATA"]) / "ett/ETTh1.csv.gz").iloc[:14_400, 1:].to_numpy()
    values = (table - table[:8640].mean(0)) / table[:8640].std(0)
    length, horizon = 336, 24
    parts = {
        "train": [windows(each[:8640], length, horizon) for each in values.T],
        "dev": [windows(each[8640 - length : 11_520], length, horizon) for each in values.T],
        "test": [windows(each[11_520 - length :], length, horizon) for each in values.T],
    }
    dev, test = (tuple(np.concatenate(each) for each in zip(*parts[name], strict=True)) for name in ("dev", "test"))
    assert len(test[0]) == 7 * (2880 - horizon + 1)
    found = LinearForecast.fit(parts["train"], dev, LEVELS)
    assert ((found.forecast(test[0]).mean - test[1]) ** 2).mean() == pytest.approx(0.311, abs=0.01)
