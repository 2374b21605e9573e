"""Closed forms beside loops and least squares by NumPy, and a network that begins with them."""

import numpy as np
import pytest
import torch

from recurra.models.forecasting.bases import LastValue, LinearMap, Ridge, SeasonalNaive
from recurra.models.forecasting.direct import Direct, HorizonFeatures
from recurra.models.forecasting.outputs import BernoulliOutput, NormalOutput, PointOutput, QuantileOutput
from recurra.models.forecasting.residual import LastLevel, MeanLevel, Residual
from recurra.models.forecasting.series_features import SeriesFeatures
from tests.models.forecasting.windows import BEGINS, CONTEXT, GAPS, HORIZON, KNOWN, ROWS, layers, shaken, windows

LEVELS = [0.1, 0.5, 0.9]
VALUES = torch.randn(ROWS, CONTEXT, generator=torch.Generator().manual_seed(0)).double()


def direct(output=NormalOutput):
    torch.manual_seed(0)
    series = SeriesFeatures(1)
    read = layers(Direct.input_size(KNOWN, 0, series))
    return Direct(series, read, HorizonFeatures(6, KNOWN, HORIZON, context_size=3, output_size=7), output(7)).double()


def quantile_output(features):
    return QuantileOutput(features, LEVELS)


def test_closed_forms_by_loops():
    last, season = LastValue(HORIZON)(VALUES), SeasonalNaive(HORIZON, 3)(VALUES)
    for row in range(ROWS):
        values = VALUES[row].tolist()
        for step in range(HORIZON):
            assert last[row, step] == VALUES[row, -1]
            values.append(values[-3])
            assert season[row, step] == values[-1]
    with pytest.raises(ValueError, match="a season of 10 steps needs as long a context, got 9"):
        SeasonalNaive(HORIZON, 10)(VALUES)
    with pytest.raises(ValueError, match="a map of 10 values needs as long a context, got 9"):
        LinearMap(torch.zeros(HORIZON, 10), torch.zeros(HORIZON))(VALUES)


@pytest.mark.parametrize("penalty", [0.0, 2.5])
def test_ridge_is_least_squares_on_rows_of_penalty(penalty):
    length, windows_ = 4, 60
    draw = torch.Generator().manual_seed(1)
    x, y = torch.randn(windows_, length, generator=draw), torch.randn(windows_, HORIZON, generator=draw)
    fitted = Ridge(length, HORIZON)
    for some in torch.arange(windows_).split(17):
        fitted.add(x[some], y[some])
    weight, bias = fitted.fit(penalty)
    rows = np.vstack([np.c_[x.double().numpy(), np.ones(windows_)], penalty**0.5 * np.eye(length, length + 1)])
    wanted, *_ = np.linalg.lstsq(rows, np.vstack([y.double().numpy(), np.zeros((length, HORIZON))]), rcond=None)
    np.testing.assert_allclose(weight, wanted[:-1].T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(bias, wanted[-1], rtol=1e-9, atol=1e-12)
    found = LinearMap(weight, bias)(VALUES)
    np.testing.assert_allclose(found, VALUES[:, -length:].numpy() @ wanted[:-1] + wanted[-1], rtol=1e-9)


def test_levels_by_hand():
    given = windows(gaps=GAPS, begins=BEGINS)
    target, observed = given.target[:, :CONTEXT], given.observed[:, :CONTEXT]
    (mean, deviation), (last, one) = MeanLevel()(target, observed), LastLevel()(target, observed)
    for row in range(ROWS):
        values = target[row, observed[row]].numpy()
        assert mean[row].item() == pytest.approx(values.mean())
        assert deviation[row].item() == pytest.approx(values.std())
        assert (last[row], one[row]) == (values[-1], 1)
    flat = torch.full_like(target, 2.0)
    assert MeanLevel()(flat, observed)[1].eq(0.01).all()


@pytest.mark.parametrize("level", [None, MeanLevel(), LastLevel()], ids=["no level", "mean", "last"])
@pytest.mark.parametrize("output", [NormalOutput, quantile_output, PointOutput], ids=["normal", "quantiles", "point"])
def test_it_begins_with_the_closed_form(level, output):
    given = windows(gaps=GAPS, begins=BEGINS)
    model = Residual(direct(output), SeasonalNaive(HORIZON, 3), level)
    for row in range(ROWS):
        values, last = [], None
        for value, seen in zip(
            given.target[row, :CONTEXT].tolist(), given.observed[row, :CONTEXT].tolist(), strict=True
        ):
            last = value if seen else last
            values.append(last)
        centre, _ = model._level(given.target[:, :CONTEXT], given.observed[:, :CONTEXT])
        values = [centre[row].item() if value is None else value for value in values]
        wanted = torch.tensor([values[-3 + step % 3] for step in range(HORIZON)]).double()
        torch.testing.assert_close(model.mean(given)[row], wanted, rtol=1e-6, atol=1e-6)  # levels are float32


@pytest.mark.parametrize("level", [MeanLevel(), LastLevel()], ids=["mean", "last"])
def test_a_series_moved_is_forecast_moved(level):
    given = windows(gaps=GAPS, begins=BEGINS)
    model = Residual(shaken(direct(quantile_output)), LastValue(HORIZON), level)
    found = model.quantiles(given, LEVELS)
    moved = given._replace(target=given.target + 40.0 * given.observed)
    torch.testing.assert_close(model.quantiles(moved, LEVELS), found + 40, rtol=1e-9, atol=1e-9)
    if isinstance(level, MeanLevel):
        stretched = given._replace(target=given.target * 7.0)
        torch.testing.assert_close(model.quantiles(stretched, LEVELS), found * 7, rtol=1e-9, atol=1e-9)


def test_the_loss_is_of_the_values_themselves():
    given = windows(gaps=GAPS, begins=BEGINS)
    model = Residual(shaken(direct(PointOutput)), LastValue(HORIZON), MeanLevel())
    error = (model.mean(given) - given.target[:, CONTEXT:])[given.observed[:, CONTEXT:]]
    torch.testing.assert_close(model.loss(given, 4.0), (error**2).sum() / 4)
    normal = Residual(shaken(direct(NormalOutput)), LastValue(HORIZON), MeanLevel())
    loc, width = normal.forecast(given)
    wanted = -torch.distributions.Normal(loc, width).log_prob(given.target[:, CONTEXT:])
    torch.testing.assert_close(normal.loss(given), wanted[given.observed[:, CONTEXT:]].sum())


def test_the_network_adds_to_the_closed_form_at_its_level():
    given = windows(begins=BEGINS)
    model = Residual(
        shaken(direct(PointOutput)), LinearMap(torch.eye(HORIZON).double(), torch.ones(HORIZON).double()), MeanLevel()
    )
    centre, spread = MeanLevel()(given.target[:, :CONTEXT], given.observed[:, :CONTEXT])
    z = ((given.target[:, :CONTEXT] - centre[:, None]) / spread[:, None]) * given.observed[:, :CONTEXT]
    inside = z[:, -HORIZON:] + 1 + model.network.mean(given._replace(target=z))
    torch.testing.assert_close(model.mean(given), centre[:, None] + spread[:, None] * inside)


def test_a_map_learns_only_where_it_is_told_to():
    weight, bias = torch.zeros(HORIZON, 2), torch.zeros(HORIZON)
    for learns in (False, True):
        model = Residual(direct().float(), LinearMap(weight, bias, learns=learns))
        model.loss(windows(dtype=torch.float32)).backward()
        assert (model.base.weight.grad is not None) == learns
    with pytest.raises(ValueError, match="BernoulliOutput: counts have no residual"):
        Residual(direct(BernoulliOutput), LastValue(HORIZON))
