"""The Markov chain beside counts and powers by hand."""

import numpy as np
import pytest

from recurra.baselines.markov_forecast import MarkovForecast


def test_transitions_are_counts_and_forecasts_their_powers():
    series = [np.array([0.0, 1, 0, 1, 1, np.nan, 0]), np.array([1.0, 0]), np.array([1.0, 0])]
    found = MarkovForecast.fit(series)
    np.testing.assert_allclose(found.means, [0, 1])
    # 0 to 1 twice; 1 to 0 three times, 1 to 1 once; and each once to itself
    transitions = np.array([[1 / 3, 2 / 3], [3 / 5, 2 / 5]])
    np.testing.assert_allclose(found.transitions, transitions)
    forecast = found.forecast(np.array([0.1, 1.0]), 3, (0.2, 0.5, 0.8))
    for step in range(3):
        chances = np.linalg.matrix_power(transitions, step + 1)
        np.testing.assert_allclose(forecast.mean[:, step], chances[:, 1])
        np.testing.assert_array_equal(forecast.quantiles[:, step], chances[:, :1] < [0.2, 0.5, 0.8])
    assert found.parameters == 4


def test_bins_have_equal_shares_and_quantiles_do_not_cross():
    draw = np.random.default_rng(0)
    values = draw.normal(size=4000)
    found = MarkovForecast.fit([values])
    shares = np.bincount(np.searchsorted(found.edges, values, "right"))
    assert len(shares) == 40 and shares.min() >= 99 and shares.max() <= 101
    forecast = found.forecast(draw.normal(size=20), 5, (0.1, 0.5, 0.9))
    assert (np.diff(forecast.quantiles, axis=2) >= 0).all()
    assert np.isfinite(forecast.quantiles).all()
    with pytest.raises(ValueError, match="no values"):
        MarkovForecast.fit([np.array([np.nan])])
