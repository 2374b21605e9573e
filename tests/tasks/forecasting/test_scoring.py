"""Scores of a part beside pandas and loops; losses of the dev part beside the model's own."""

import numpy as np
import pytest
import torch

import recurra
from recurra.baselines.naive_forecasts import Forecast
from recurra.tasks.forecasting.baselines import baselines
from recurra.tasks.forecasting.batches import cuts_of
from recurra.tasks.forecasting.scoring import Scorer, draw_paths, evaluate, network
from recurra.tasks.forecasting.task import dev_loss
from recurra.tasks.forecasting.windows import Cuts, make_windows, truths
from tests.tasks.forecasting.conftest import TINY
from tests.tasks.forecasting.files import sales


def of(found, name, unit):
    return next(score.value for score in found if (score.name, score.unit) == (name, unit))


def test_seasonal_naive_over_every_window_by_hand(read):
    data = read(sales(), dev_size=12, test_size=20)
    scorer = Scorer(data, "test")

    def last_week(cuts):
        rows = zip(cuts.series.tolist(), cuts.origin.tolist(), strict=True)
        return Forecast(np.stack([data.target(series, origin - 7, origin) for series, origin in rows]), None)

    found = scorer.score(last_week)
    errors, scaled, mase = [], [], []
    for _, rows in sales().groupby("shop"):
        units = rows.units.to_numpy()
        scale = np.abs(units[7:100] - units[:93]).mean()
        for origin in range(100, 120 - 7 + 1):
            apart = units[origin : origin + 7] - units[origin - 7 : origin]
            errors.append(np.abs(apart).mean())
            scaled.append((apart**2).mean() / units[:88].var())
            mase.append(errors[-1] / scale)
    assert of(found, "MAE", "target") == pytest.approx(np.mean(errors))
    assert of(found, "MSE", "deviations^2") == pytest.approx(np.mean(scaled))
    assert found[0].name == "MASE" and found[0].value == pytest.approx(np.mean(mase))
    assert "series=2|windows=28|horizon=7|season=7" in found[0].signature
    measured = scorer.measure(last_week)
    assert measured.by_step.shape == (7,) and measured.below is None
    assert measured.by_step.mean() == pytest.approx(of(found, "MAE", "deviations"))


def test_windows_without_a_beginning_are_left_out(read):
    frame = sales(("a", "b"))
    frame.loc[(frame.shop == "a") & frame.date.between("2025-03-25", "2025-04-15"), "units"] = np.nan
    data = read(frame, dev_size=12, test_size=20, context=7)
    cuts = Scorer(data, "test").cuts  # steps 83 to 104 are missing: origins 100 to 105 have nothing before them
    assert cuts.origin[cuts.series == 0].tolist() == list(range(106, 114)) and (cuts.series == 1).sum() == 14


def test_below_counts_what_lay_under_each_quantile(read):
    data = read(sales(), dev_size=12, test_size=20)

    def spread(cuts):
        truth = truths(data, cuts)
        return Forecast(truth, truth[:, :, None] + np.array([-4, -3, -2, -1, 0, 1, 2, 3, 4]))

    found = Scorer(data, "test").measure(spread)
    np.testing.assert_allclose(found.below, [0, 0, 0, 0, 1, 1, 1, 1, 1])


def test_a_network_is_scored_in_the_units_of_the_target(direct):
    data, model = direct.data, direct.model
    cuts = Cuts(np.array([1]), np.array([110]))
    forecast = network(model, data)(cuts)
    windows = make_windows(data, cuts, "window")
    context = data.target(1, 96, 110)
    np.testing.assert_allclose(forecast.mean, model.mean(windows).numpy() * context.std() + context.mean(), rtol=1e-5)
    assert (np.diff(forecast.quantiles, axis=2) >= 0).all()
    found = evaluate(model, data, "test")
    assert [(score.name, score.value) for score in found] == [
        (score.name, score.value) for score in direct.final_scores()["model"]
    ]


def test_the_loss_of_the_dev_part_is_that_of_its_horizons(direct, trained):
    for run in (direct, trained):
        data, model = run.data, run.model
        windows = make_windows(data, cuts_of(data, "dev"), "window", training=True)
        steps = windows.context
        with torch.no_grad():
            if run is trained:  # the costs of the values of the horizon, one by one
                costs = [
                    model.loss(windows._replace(target=windows.target[:, :end], observed=windows.observed[:, :end]))
                    for end in range(steps, steps + windows.horizon + 1)
                ]
                expected = sum(after - before for before, after in zip(costs, costs[1:], strict=False))
            else:
                expected = model.loss(windows)
        assert dev_loss(model, data) == pytest.approx(float(expected / windows.observed[:, steps:].sum()), rel=1e-4)
        recorded = [each["validation"] for each in run.folder.metrics() if "validation" in each]
        assert min(recorded) == pytest.approx(dev_loss(model, data), rel=1e-5)


def test_paths_are_coherent_and_their_own_each_time(trained):
    cuts = Cuts(np.array([0, 1]), np.array([110, 112]))
    first, again = (draw_paths(trained.model, trained.data, cuts, 30) for _ in range(2))
    assert first.shape == (2, 30, 7)
    np.testing.assert_array_equal(first, again)  # the seed is the run's
    forecast = network(trained.model, trained.data)(cuts)
    paths = draw_paths(trained.model, trained.data, cuts, 20)  # as many as the run takes quantiles from
    np.testing.assert_allclose(forecast.mean, paths.mean(1))
    np.testing.assert_allclose(forecast.quantiles[:, :, 4], np.median(paths, 1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_baselines_stand_beside_it_on_the_same_windows(direct, capsys, monkeypatch):
    monkeypatch.setattr("recurra.tasks.forecasting.baselines.installed", lambda: False)
    found = baselines(direct, direct.data, "test")
    assert list(found) == ["naive", "drift", "seasonal-naive", "linear", "markov"]
    assert "pip install 'recurra[classical]'" in capsys.readouterr().err
    signatures = {scores[0].signature.rpartition("|windows=")[2][:3] for scores in found.values()}
    assert len(signatures) == 1
    with_season, without = (found[name][0].value for name in ("seasonal-naive", "naive"))
    assert with_season < without / 1.5 and found["linear"][0].value < without / 1.5


def test_statistical_models_stand_on_some_windows(direct, monkeypatch):
    pytest.importorskip("statsforecast")
    monkeypatch.setattr("recurra.tasks.forecasting.baselines.MOST_CLASSICAL", 2)
    found = baselines(direct, direct.data, "test")
    for name in ("ets", "theta", "arima", "model on the same"):
        assert "|windows=2|" in found[name][0].signature
    assert found["ets"][0].value < found["naive"][0].value


def test_double_precision_stays_double(file, tmp_path):
    options = {**TINY, "model": "direct", "distribution": "normal", "epochs": 1, "precision": "float64"}
    run = recurra.fit("forecasting", file, out=tmp_path / "run", baselines=False, **options)
    assert next(run.model.parameters()).dtype == torch.float64
    assert evaluate(recurra.load(tmp_path / "run").model, run.data, "test") == evaluate(run.model, run.data, "test")
