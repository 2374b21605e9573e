"""Scores of forecasts beside NumPy by hand, what is known of the normal distribution, and figures of M4."""

import os
from statistics import NormalDist

import numpy as np
import pytest

from recurra.metrics.forecast import LEVELS, Forecasts, losses, scores, seasonal_error

MARKS = np.array([NormalDist().inv_cdf(level) for level in LEVELS])


@pytest.fixture
def found():
    draw = np.random.default_rng(0)
    truth = draw.normal(10, 2, (5, 4))
    mean = truth + draw.normal(0, 1, (5, 4))
    truth[1, 2], truth[3] = np.nan, np.nan
    return Forecasts(truth, mean, mean[:, :, None] + MARKS, np.array([1, 2, 0, 1, np.nan]), np.arange(1.0, 6.0))


def test_losses_are_those_by_hand(found):
    error = found.truth - found.mean
    spread = found.deviation[:, None]
    pinball = np.stack(
        [np.maximum(level * apart, (level - 1) * apart) for level, apart in zip(LEVELS, _apart(found), strict=True)]
    )
    inside = (found.truth >= found.quantiles[:, :, 0]) & (found.truth <= found.quantiles[:, :, -1])
    expected = {
        "MASE": np.nanmean(abs(error[[0, 1]]), 1) / [1, 2],
        "MSE": _by_window(error**2 / spread**2),
        "MAE": _by_window(abs(error) / spread),
        "sMAPE": _by_window(200 * abs(error) / (abs(found.truth) + abs(found.mean))),
        "CRPS": 2 * _by_window(pinball.mean(0) / spread),
        "pinball": _by_window(pinball.mean(0)),
        "coverage of 80 %": _by_window(np.where(np.isnan(found.truth), np.nan, 100.0 * inside)),
    }
    measured = losses(found)
    assert np.isnan(measured["MASE"][[2, 3, 4]]).all()  # constant before, nothing observed, nothing before
    for name, values in expected.items():
        kept = measured[name][~np.isnan(measured[name])]
        np.testing.assert_allclose(kept, values, rtol=1e-12, err_msg=name)


def _apart(found):
    return [found.truth - found.quantiles[:, :, number] for number in range(len(LEVELS))]


def _by_window(values):
    return np.nanmean(np.delete(values, 3, 0), 1)


def test_scores_are_means_of_windows(found):
    measured = {(score.name, score.unit): score for score in scores(losses(found), "here")}
    error = np.delete(found.truth - found.mean, 3, 0)
    assert measured["RMSE", "target"].value == pytest.approx(np.sqrt(np.nanmean(error**2, 1).mean()))
    assert measured["MAE", "target"].value == pytest.approx(np.nanmean(abs(error), 1).mean())
    assert measured["MASE", "x seasonal naive"].signature.startswith("here|utilsforecast=")
    assert [score.name for score in measured.values() if score.higher_is_better] == ["coverage of 80 %"]
    naive2 = {"MASE": np.array([2.0, 4.0]), "sMAPE": np.array([10.0, np.nan])}
    owa = scores(losses(found), "here", naive2)[0]
    mase, smape = measured["MASE", "x seasonal naive"].value, measured["sMAPE", "%"].value
    assert owa.name == "OWA" and owa.value == pytest.approx((mase / 3 + smape / 10) / 2)


def test_the_true_distribution_has_its_own_crps_and_coverage():
    """The CRPS of a standard normal is 1/sqrt(pi); the mean of nine pinball losses comes to within some per cent."""
    truth = np.random.default_rng(1).normal(size=(200, 100))
    mean, quantiles = np.zeros_like(truth), np.broadcast_to(MARKS, (*truth.shape, len(LEVELS)))
    ones = np.ones(len(truth))
    measured = losses(Forecasts(truth, mean, quantiles, ones, ones))
    assert measured["coverage of 80 %"].mean() == pytest.approx(80, abs=1)
    assert 1 / np.sqrt(np.pi) < measured["CRPS"].mean() < 1.12 / np.sqrt(np.pi)
    for wrong in (quantiles * 0.5, quantiles * 2, quantiles + 0.5):
        assert losses(Forecasts(truth, mean, wrong, ones, ones))["CRPS"].mean() > measured["CRPS"].mean()


def test_the_scale_of_mase_is_that_of_utilsforecast():
    import pandas as pd
    from utilsforecast.losses import mae, mase

    history = np.random.default_rng(2).normal(size=40)
    train = pd.DataFrame({"unique_id": 0, "ds": range(40), "y": history})
    said = pd.DataFrame({"unique_id": 0, "ds": [40, 41], "y": [1.0, 2.0], "model": [3.0, 1.0]})
    expected = mae(said, ["model"])["model"][0] / mase(said, ["model"], 7, train)["model"][0]
    assert seasonal_error(history, 7) == pytest.approx(expected, rel=1e-12)
    history[[3, 20]] = np.nan
    apart = [abs(history[step] - history[step - 7]) for step in range(7, 40)]
    assert seasonal_error(history, 7) == pytest.approx(np.nanmean(apart), rel=1e-12)
    assert np.isnan(seasonal_error(history[:7], 7))


def test_shapes_and_numbers_are_checked(found):
    with pytest.raises(ValueError, match="5 windows of 4 steps"):
        losses(found._replace(mean=found.mean[:, :3]))
    with pytest.raises(ValueError, match="quantiles are"):
        losses(found._replace(quantiles=found.quantiles[:, :, 1:]))
    with pytest.raises(ValueError, match="not finite"):
        losses(found._replace(mean=found.mean * np.inf))
    with pytest.raises(ValueError, match="no windows"):
        scores({"MASE": np.empty(0)}, "")


@pytest.mark.skipif("RECURRA_DATA" not in os.environ, reason="RECURRA_DATA is not set: no packed data sets here")
def test_seasonal_naive_and_naive2_score_what_m4_published(m4):
    from recurra.baselines.naive_forecasts import naive2, seasonal_naive

    truth, histories = m4
    seasonal = np.array([seasonal_error(history, 24) for history in histories])
    said = np.concatenate([seasonal_naive(history[None], 48, LEVELS, 24).mean for history in histories])
    benchmark = np.stack([naive2(history, 48, 24) for history in histories])
    ones = np.ones(len(truth))
    of_benchmark = losses(Forecasts(truth, benchmark, None, seasonal, ones))
    found = {
        score.name: score.value
        for score in scores(losses(Forecasts(truth, said, None, seasonal, ones)), "", of_benchmark)
    }
    assert (round(found["sMAPE"], 3), round(found["MASE"], 3)) == (13.912, 1.193)
    assert round(found["OWA"], 3) in (0.627, 0.628)
    assert round(of_benchmark["sMAPE"].mean(), 3) == 18.383 and round(of_benchmark["MASE"].mean(), 3) == 2.395


@pytest.fixture
def m4(tmp_path, monkeypatch):
    import csv
    import gzip
    from pathlib import Path

    folder = Path(os.environ["RECURRA_DATA"]) / "m4_hourly"
    parts = []
    for name in ("test", "train"):
        with gzip.open(folder / f"Hourly-{name}.csv.gz", "rt") as file:
            rows = list(csv.reader(file))[1:]
        parts.append([np.array([float(cell) for cell in row[1:] if cell]) for row in rows])
    return np.stack(parts[0]), parts[1]
