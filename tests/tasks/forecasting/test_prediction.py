"""Tables of forecasts beside the model's own numbers; a stream beside the same series read as a whole."""

import io

import numpy as np
import pandas as pd
import pytest
import torch

import recurra
from recurra.data import standard_input
from recurra.errors import BadInput
from recurra.models.forecasting.windows import Windows
from recurra.tasks.forecasting.prediction import predict, predict_table
from recurra.tasks.forecasting.scoring import draw_paths, network
from recurra.tasks.forecasting.windows import Cuts, make_windows, of_time
from tests.tasks.forecasting.conftest import TINY
from tests.tasks.forecasting.files import sales


def table(pieces, **options):
    return pd.read_csv(io.StringIO("".join(pieces)), **options)


@pytest.fixture
def feed(monkeypatch):
    """Lines of standard input."""

    def lines(*given):
        monkeypatch.setattr(standard_input, "lines", lambda: iter(given))

    return lines


def test_forecasts_go_on_from_the_end_of_each_series(direct):
    found = table(predict(direct, None, stream=False), parse_dates=["ds"])
    expected = network(direct.model, direct.data)(Cuts(np.array([0, 1]), np.array([120, 120])))
    assert found.unique_id.tolist() == ["north"] * 7 + ["south"] * 7
    assert found.ds.tolist() == list(pd.date_range("2025-05-01", periods=7)) * 2
    np.testing.assert_allclose(found["mean"], expected.mean.ravel(), rtol=1e-12)
    np.testing.assert_allclose(found.filter(like="q0."), expected.quantiles.reshape(14, -1), rtol=1e-12)


def test_as_of_a_date_nothing_later_is_known(direct, file, tmp_path):
    found = direct.forecast(as_of="2025-04-10")
    frame = pd.read_csv(file)
    early = direct.forecast(frame[frame.date <= "2025-04-10"])
    pd.testing.assert_frame_equal(found, early)
    assert found.ds.iloc[0] == pd.Timestamp("2025-04-11")
    later = direct.forecast(as_of="2025-05-05")  # five days are missing before it
    assert later.ds.iloc[0] == pd.Timestamp("2025-05-06") and np.isfinite(later["mean"]).all()
    with pytest.raises(BadInput, match="nothing was observed within 14 steps up to 2026-01-01"):
        direct.forecast(as_of="2026-01-01")
    with pytest.raises(BadInput, match="--as-of soon: is no date"):
        direct.forecast(as_of="soon")


def test_paths_and_levels_as_asked(trained, direct):
    found = trained.forecast(quantiles=(0.05, 0.5), paths=25)
    drawn = draw_paths(trained.model, trained.data, Cuts(np.array([0, 1]), np.array([120, 120])), 25)
    assert list(found.columns) == ["unique_id", "ds", "mean", "q0.05", "q0.5", *(f"path-{n}" for n in range(1, 26))]
    np.testing.assert_allclose(found.filter(like="path-").to_numpy().reshape(2, 7, 25), drawn.swapaxes(1, 2))
    np.testing.assert_allclose(found["q0.05"], np.quantile(drawn, 0.05, axis=1).ravel())
    with pytest.raises(BadInput, match="--paths: .* train with --model autoregressive"):
        direct.forecast(paths=3)
    with pytest.raises(BadInput, match="--quantiles 0.1,2: levels lie between 0 and 1"):
        list(predict(direct, None, stream=False, quantiles="0.1,2"))


def test_a_parquet_file_is_the_same_table(direct, tmp_path):
    predict_table(direct, None, tmp_path / "forecast.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "forecast.parquet"), direct.forecast())


def test_data_frames_go_in_and_come_out(tmp_path):
    frame = sales().rename(columns={"date": "ds", "shop": "unique_id", "units": "y"})[["unique_id", "ds", "y"]]
    options = {name: value for name, value in TINY.items() if name not in ("time", "target", "group")}
    run = recurra.fit("forecasting", frame, out=tmp_path / "run", baselines=False, **options)
    found = run.forecast(frame.set_index("unique_id"))
    pd.testing.assert_frame_equal(found, run.forecast())
    arrow = pytest.importorskip("pyarrow").Table.from_pandas(frame)
    pd.testing.assert_frame_equal(found, run.forecast(arrow))
    assert list(found.columns[:3]) == ["unique_id", "ds", "mean"]
    other = run.forecast(frame[frame.ds < "2025-03-01"])
    assert (other.groupby("unique_id").ds.min() == pd.Timestamp("2025-03-01")).all()
    assert recurra.load(tmp_path / "run").data.panel.names[0] == "north"
    with pytest.raises(BadInput, match="dict: is no file and no data frame"):
        run.forecast({"y": [1]})


def test_an_unseen_series_is_forecast_too(direct):
    found = direct.forecast(sales(("west",), seed=9))
    assert found.unique_id.unique().tolist() == ["west"] and np.isfinite(found["mean"]).all()


def test_covariates_known_ahead_must_be_known(tmp_path):
    path = tmp_path / "sales.csv"
    sales(ahead=7).to_csv(path, index=False)
    run = recurra.fit("forecasting", path, out=tmp_path / "run", known="promotion", baselines=False, **TINY)
    promoted = sales(ahead=7)
    last = promoted.groupby("shop").cumcount() >= 120
    assert len(run.forecast()) == 14
    changed = run.forecast(promoted.assign(promotion=promoted.promotion.where(~last, 5)))
    assert not np.allclose(changed["mean"], run.forecast()["mean"])
    with pytest.raises(BadInput, match=r"row 1: the series 'north', .* known ahead \(promotion\) at 2025-05-04; write"):
        run.forecast(sales(ahead=3))
    with pytest.raises(BadInput, match="reads covariates, which a stream does not have"):
        list(predict(run, "-", stream=False))


@pytest.mark.parametrize("kind", ["trained", "direct"])
def test_a_stream_is_answered_from_a_state_as_if_all_were_read(kind, request, feed):
    """The scale stays that of the beginning."""
    run = request.getfixturevalue(kind)
    values = [12.5, 9.0, np.nan, 15.0]
    lines = ["date,shop,units"]
    for day, value in enumerate(values):
        lines += [f"2025-05-{1 + day:02},south,{'' if np.isnan(value) else value}"]
    feed(*lines)
    found = table(predict(run, "-", stream=True), parse_dates=["ds"])
    assert found.unique_id.tolist() == ["south"] * 4 and found.ds.tolist() == list(
        pd.date_range("2025-05-02", periods=4)
    )
    history = run.data.target(1, 0, 120)
    np.testing.assert_allclose(found["mean"], [_whole(run, history, values[: n + 1]) for n in range(4)], rtol=2e-4)


def _whole(run, history, values):
    """The mean of the next value by the model that reads context and stream anew, at the scale of the context."""
    context = make_windows(run.data, Cuts(np.array([1]), np.array([120])), "window")
    more = torch.tensor([values], dtype=torch.float32)
    target = (more - context.centre[:, None]) / context.scale[:, None]
    steps = np.arange(120 - 14, 120 + len(values) + 7)[None]
    known = torch.tensor(of_time(run.data.meaning, run.data.panel.starts[[1]], steps), dtype=torch.float32)
    windows = Windows(
        torch.cat([context.target, target.nan_to_num()], 1),
        torch.cat([context.observed, ~target.isnan()], 1),
        known,
        torch.zeros(1, 14 + len(values), 0),
        *context[4:],
    )
    with torch.no_grad():
        state = run.model.begin(windows)
        mean = run.model.distribution(state).mean()
    first = mean[0, 0] if mean.dim() == 2 else mean[0]
    return float(first * context.scale[0] + context.centre[0])


def test_a_stream_of_bare_values(tmp_path, feed):
    path = tmp_path / "one.csv"
    sales(("north",))[["date", "units"]].to_csv(path, index=False)
    options = {name: value for name, value in TINY.items() if name != "group"}
    run = recurra.fit("forecasting", path, out=tmp_path / "run", baselines=False, **options)
    feed("5", "6.5")
    bare = "".join(predict(run, "-", stream=True))
    feed("units", "5", "6.5")
    assert "".join(predict(run, "-", stream=True)) == bare and bare.count("\n") == 3
    assert bare.splitlines()[1].startswith("units,2025-05-02,")
    for line, said in (("x", "line 2: 'x' is no number"), ("inf", "line 2: the value is infinite")):
        feed("5", line)
        with pytest.raises(BadInput, match=said):
            list(predict(run, "-", stream=True))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["date,shop,units", "2025-05-02,south,3"],
            "line 2: 2025-05-02 .* not the step after the one before, 2025-05-01",
        ),
        (["date,shop,units", "2025-05-01,east,3"], "line 2: the run knows no series 'east'"),
        (["date,shop,units", "2025-05-01,south"], "line 2: 2 cells where 3 are named"),
        (["date,units", "2025-05-01,3"], "line 1 names no column 'shop'"),
    ],
)
def test_lines_of_a_stream_that_are_refused(direct, feed, lines, said):
    feed(*lines)
    with pytest.raises(BadInput, match=said):
        list(predict(direct, "-", stream=True))
