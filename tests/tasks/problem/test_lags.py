"""Models compared at several lags."""

import numpy as np
import pytest

from recurra.errors import BadInput
from recurra.tasks.comparison import compare
from recurra.tasks.problem.contenders import contender, split
from recurra.tasks.problem.lags import at_lags, read_lags, table
from recurra.tasks.run import load

SMALL = dict(hidden_size=4, batch_size=25, epoch_size=100, part_size=50, epochs=1, threads=1, time_limit=60.0)


@pytest.mark.parametrize("text", ["10:400", "2:3", "7", "10:10", "50:1000"])
def test_lags_about_double(text):
    found = read_lags(text)
    first, _, last = text.partition(":")
    assert (found[0], found[-1]) == (int(first), int(last or first))
    assert all(1.4 < later / one < 2.9 for one, later in zip(found, found[1:], strict=False))
    if text == "10:400":
        assert found == [10, 21, 44, 91, 191, 400]


@pytest.mark.parametrize("text", ["400:10", "1:9", "10-40", "", "ten", "10:"])
def test_lags_that_are_none(text):
    with pytest.raises(BadInput, match="--lag .*: give a lag of 2 or more"):
        read_lags(text)


def test_a_name_carries_its_lag():
    assert at_lags(["gru", "window-3"], [10, 20]) == ["gru@10", "gru@20", "window-3@10", "window-3@20"]
    assert split("window-3@20") == ("window-3", 20) and split("gru") == ("gru", None)
    assert contender("window-3@20") == {"model": "window", "window": 3, "lag": 20}
    assert contender("gru") == {"model": "recurrent", "cell": "gru"}
    assert contender("optimal@20") is None


def test_every_model_has_its_run_at_every_lag(tmp_path):
    names = at_lags(["trivial", "optimal", "gru"], [4, 9])
    found = compare("problem", "delayed-recall", models=names, out=tmp_path / "lags", symbols=2, **SMALL)
    assert [result.name for result in found.results] == names
    assert load(tmp_path / "lags" / "gru@9").data.problem.lag == 9
    signatures = [result.scores["test"][0].signature for result in found.results]
    assert [text.split("|")[2] for text in signatures] == ["lag=4", "lag=9"] * 3
    columns, rows = table(found.results, failed=["irnn@9"])
    assert columns == ["solved at lag", "4", "9"]
    assert rows[:2] == [["trivial", "no", "no"], ["optimal", "yes", "yes"]] and rows[3] == ["irnn", "", "not finite"]
    assert [path.name for path in found.draw()] == ["lags.png"]


def test_without_lags_the_charts_are_the_usual_ones(tmp_path):
    found = compare("problem", "delayed-recall", models=["gru"], out=tmp_path / "one", lag=4, symbols=2, **SMALL)
    assert [path.name for path in found.draw()] == ["time.png", "parameters.png"]
    assert table(found.results)[0] == ["solved at lag"]


def test_when_a_model_had_solved_it_is_in_the_table(tmp_path):
    options = dict(SMALL, hidden_size=16, learning_rate=0.02, epochs=100, symbols=2)
    found = compare("problem", "delayed-recall", models=["gru@4"], out=tmp_path / "solved", **options)
    (result,) = found.results
    assert result.solved == load(tmp_path / "solved" / "gru@4").scores["solved"]["seconds"]
    assert table(found.results)[1] == [["gru", f"{result.solved:.1f} s"]]


@pytest.mark.parametrize(
    ("models", "options", "said"),
    [
        (["lstn@9"], {}, "did you mean 'lstm'"),
        (["gru@9"], {"lag": 4}, "--lag: the model 'gru@4' decides this"),
        (["gru@1"], {}, "--lag 1"),
        (["gru@5"], {"symbols": 1}, "--symbols 1"),
    ],
)
def test_nothing_is_trained_before_all_is_known_to_work(tmp_path, models, options, said):
    with pytest.raises(BadInput, match=said):
        compare("problem", "delayed-recall", models=["gru@4", *models], out=tmp_path / "out", **SMALL, **options)
    assert not (tmp_path / "out").exists()


def test_a_window_cannot_see_what_it_does_not_reach(tmp_path):
    """The symbol is nine steps behind the end: a window of nine sees none of it, one of ten does."""
    options = dict(SMALL, symbols=2, epochs=100, learning_rate=0.05, hidden_size=16)
    found = compare("problem", "delayed-recall", models=["window-9@9", "window-10@9"], out=tmp_path / "w", **options)
    blind, seeing = (result.scores["test"][0].value for result in found.results)
    assert blind > 0.6 and seeing < 0.3 and np.isfinite(blind)
