"""Backtests beside the forecasts of each origin, one at a time."""

import numpy as np
import pytest

import recurra
from recurra.errors import BadInput
from recurra.tasks.forecasting.rolling import roll
from recurra.tasks.forecasting.scoring import Scorer, network
from recurra.tasks.forecasting.windows import Cuts


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("recurra.tasks.forecasting.baselines.installed", lambda: False)


def test_origins_spread_over_the_test_part(direct):
    found = roll(direct, 3, refit=False)  # the test part is of 12 steps: origins 108 to 113
    data = direct.data
    cuts = Cuts(np.repeat([0, 1], 3), np.array([109, 111, 113] * 2))
    expected = Scorer(data, "test", cuts).score(network(direct.model, data))
    assert [score.value for score in found["model"]] == [score.value for score in expected]
    assert "windows=6" in found["model"][0].signature and "3 origins, 2 steps apart" in found["model"][0].signature
    assert {"naive", "seasonal-naive", "drift", "linear", "markov"} < found.keys()
    with pytest.raises(BadInput, match="--rolling 7: the test part has room for 6 origins"):
        roll(direct, 7, refit=False)


def test_trained_anew_each_origin_knows_what_lies_before_it(direct, capsys):
    found = roll(direct, 2, refit=True)
    runs = [recurra.load(path) for path in sorted((direct.path / "rolling").iterdir())]
    assert [run.config.until for run in runs] == ["2025-04-23", "2025-04-30"]
    for run, end in zip(runs, (113, 120), strict=True):
        assert run.data.split.end.tolist() == [end] * 2 and run.data.split.test.tolist() == [end - 7] * 2
        assert run.config.hidden_size == direct.config.hidden_size and run.config.model == "direct"
    each = [run.final_scores()["model"][0].value for run in runs]
    assert found["model"][0].value == pytest.approx(np.mean(each)) and each[0] != each[1]
    assert found["model"][0].signature.startswith("mean of 2 origins, trained anew for each|")
    assert roll(direct, 2, refit=True)["model"][0].value == found["model"][0].value  # what is there is kept
