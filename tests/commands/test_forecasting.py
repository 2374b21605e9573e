"""The command line's way through a forecast: fit, go on, predict, evaluate, backtest, compare; and what it refuses."""

import io

import numpy as np
import pandas as pd
import pytest

from recurra.commands.main import main
from tests.tasks.forecasting.files import sales

COLUMNS = "--time date --target units --group shop --horizon 7".split()
TINY = "--hidden-size 8 --epochs 1 --windows 32 --threads 1 --paths 10".split()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("recurra.tasks.forecasting.baselines.installed", lambda: False)


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture
def table(tmp_path):
    sales().to_csv(tmp_path / "sales.csv", index=False)
    return tmp_path / "sales.csv"


def test_from_a_table_to_forecasts(tmp_path, table, capsys):
    fit = ["fit", "forecasting", table, *COLUMNS, "--out", tmp_path / "run", *TINY]
    assert run(*fit) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("model\tMASE (x seasonal naive)\tOWA (x Naive2)")
    names = [line.split("\t")[0] for line in printed.out.splitlines()[1:]]
    assert names == ["model", "naive", "drift", "seasonal-naive", "linear", "markov", "window-14"]
    assert run(*fit, "--resume") == 0 and "nothing was left to do" in capsys.readouterr().err
    pictures = {path.name for path in (tmp_path / "run" / "pictures").iterdir()}
    assert pictures >= {
        "learning-curve.png",
        "scores.png",
        "steps-test.png",
        "calibration-test.png",
        "worst-test-1.png",
    }
    out = tmp_path / "forecast.parquet"
    assert run("predict", tmp_path / "run", "--as-of", "2025-04-20", "--paths", 3, "--out", out) == 0
    found = pd.read_parquet(out)
    assert len(found) == 14 and found.ds.min() == pd.Timestamp("2025-04-21") and "path-3" in found
    capsys.readouterr()
    assert run("predict", tmp_path / "run", table, "--quantiles", "0.5") == 0
    assert list(pd.read_csv(io.StringIO(capsys.readouterr().out)).columns) == ["unique_id", "ds", "mean", "q0.5"]
    assert run("evaluate", tmp_path / "run", table) == 0
    printed = capsys.readouterr()
    assert "window-14" in printed.out and "the worst of 2 series" in printed.err
    assert run("evaluate", tmp_path / "run", "--rolling", "3") == 0
    assert "3 origins, 2 steps apart" in capsys.readouterr().out
    assert run("sample", tmp_path / "run") == 2
    assert "a run of forecasting cannot sample; use recurra predict" in capsys.readouterr().err


def test_models_are_compared(tmp_path, table, capsys):
    options = [*COLUMNS, *TINY, "--time-limit", "1"]
    models = "seasonal-naive,linear,gru"
    assert run("compare", "forecasting", table, "--models", models, "--out", tmp_path / "compared", *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines[1:]] == models.split(",")
    assert run("compare", "forecasting", table, "--models", "seasonal-naiv", "--out", tmp_path / "other", *options) == 2
    assert "unknown model 'seasonal-naiv'; did you mean 'seasonal-naive'?" in capsys.readouterr().err


def with_cell(frame, row, column, value):
    return frame.assign(**{column: frame[column].astype(object).where(frame.index != row, value)})


TABLES = {
    "a time twice": (lambda frame: pd.concat([frame[:3], frame[2:]]), "line 5: a time of the series 'north' is there"),
    "unsorted times": (
        lambda frame: frame.iloc[[0, 2, 1, *range(3, 240)]],
        "line 4: a time of the series 'north' goes",
    ),
    "irregular steps": (
        lambda frame: with_cell(frame, 9, "date", "2025-01-10 07:00"),
        "line 11: this time is not a whole number of steps of D",
    ),
    "text": (lambda frame: with_cell(frame, 4, "units", "n.a."), "line 6: 'units' holds 'n.a.', no number"),
    "infinite": (lambda frame: with_cell(frame, 4, "units", "inf"), "line 6: 'units' is infinite"),
    "zones mixed": (
        lambda frame: with_cell(frame, 2, "date", "2025-01-03 00:00+01:00"),
        "line 4: 'date' states +01:00",
    ),
    "one row each": (lambda frame: frame.drop_duplicates("shop"), "line 2: no series has a second row"),
    "a horizon longer than the history": (
        lambda frame: pd.concat([frame[:8], frame[120:127]]),
        "line 2: the longest series, 'north', has 8 steps",
    ),
    "a column twice": (lambda frame: frame.rename(columns={"area": "units"}), "line 1: the column 'units' is there"),
}


@pytest.mark.parametrize("name", TABLES)
def test_what_is_refused_is_one_line_and_leaves_nothing(tmp_path, capsys, name):
    change, said = TABLES[name]
    change(sales().assign(date=lambda frame: frame.date.dt.date)).to_csv(tmp_path / "sales.csv", index=False)
    assert run("fit", "forecasting", tmp_path / "sales.csv", *COLUMNS, "--out", tmp_path / "run", *TINY) == 2
    printed = capsys.readouterr()
    assert f"sales.csv: {said}" in printed.err and printed.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--static", "areas"], "unknown column 'areas'; did you mean 'area'?; name it by --static"),
        (["--target", "visitors"], "--target units visitors: a row holds one observation; give --layout wide"),
        (["--frequency", "daily"], "--frequency daily: unknown"),
        (["--known", "promotion", "--past", "promotion"], "is both --known and --past"),
        (["--past", "visitors"], "--past: an autoregressive model would have to forecast"),
        (["--residual", "linear"], "--residual linear: is of a model of all steps at once"),
        (["--cell", "lsmt"], "did you mean 'lstm'"),
        (["--patch", "7"], "--patch 7: an autoregressive model reads step by step"),
        (["--until", "soon"], "--until soon: is no date"),
        (["--test-size", "3"], "no series has 7 steps in the test part"),
    ],
)
def test_options_that_do_not_fit(tmp_path, table, capsys, options, said):
    assert run("fit", "forecasting", table, *COLUMNS, "--out", tmp_path / "run", *TINY, *options) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_words_of_a_category_are_those_of_training(tmp_path, capsys):
    frame = sales()
    frame["promotion"] = np.where(frame.promotion == 1, "half price", "none")
    frame.to_csv(tmp_path / "sales.csv", index=False)
    out, options = tmp_path / "run", ["--known", "promotion", "--categories", "promotion", "--no-baselines"]
    assert run("fit", "forecasting", tmp_path / "sales.csv", *COLUMNS, "--out", out, *TINY, *options) == 0
    assert run("predict", out, "--as-of", "2025-04-20") == 0
    frame.loc[30, "promotion"] = "gift"
    frame.to_csv(tmp_path / "later.csv", index=False)
    capsys.readouterr()
    assert run("evaluate", out, tmp_path / "later.csv") == 2
    said = "later.csv: line 32: 'promotion' holds 'gift', which training did not have (half price, none); mend it"
    assert said in capsys.readouterr().err
