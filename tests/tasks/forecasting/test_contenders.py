"""What a comparison can name."""

import pytest

from recurra.errors import BadInput
from recurra.tasks.forecasting.contenders import contender, count
from recurra.tasks.forecasting.scoring import Scorer
from tests.tasks.forecasting.files import sales


def test_names_are_options_or_counted():
    assert contender("gru") == {"cell": "gru"}
    assert contender("window") == {"model": "window"} and contender("window-10") == {"model": "window", "context": 10}
    assert contender("linear") is None and contender("seasonal-naive") is None
    with pytest.raises(BadInput, match="unknown model 'windw'; did you mean 'window'"):
        contender("windw")


def test_counted_models_have_their_parameters_and_scores(read):
    data = read(sales())
    parameters, _, scores = count("linear", data)
    assert parameters == (96 // 3 + 1) * 7
    assert {name: len(each) > 5 for name, each in scores.items()} == {"dev": True, "test": True}
    assert f"windows={len(Scorer(data, 'test').cuts)}" in scores["test"][0].signature
    assert count("markov", data)[0] > 100 and count("drift", data)[0] == 0
    yearly = read(sales(), season=1)
    with pytest.raises(BadInput, match="unknown model of series without a season 'seasonal-naive'"):
        count("seasonal-naive", yearly)
