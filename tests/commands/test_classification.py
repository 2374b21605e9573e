"""The command line's way through a classification: fit, go on, evaluate, predict; and what it refuses."""

import pytest

from recurra.commands.main import main
from tests.tasks.classification.files import reviews, waves


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_from_files_to_labels(tmp_path, capsys):
    options = "--text review --label side --hidden-size 8 --epochs 2 --no-baselines --direction forward".split()
    train, test = reviews(tmp_path / "train.csv", 90), reviews(tmp_path / "test.csv", 30, seed=1)
    fit = ["fit", "classification", train, "--test", test, "--out", tmp_path / "run", *options]
    assert run(*fit) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("model\taccuracy (%)\tmacro F1 (%)") and "of the steps in batches are" in printed.err
    assert run(*fit, "--resume") == 0 and "nothing was left to do" in capsys.readouterr().err
    assert run("evaluate", tmp_path / "run") == 0
    printed = capsys.readouterr()
    assert "\n1-gram\t" in printed.out and "wrong" in printed.err and "seen-test.png" in printed.err
    assert run("predict", tmp_path / "run", test, "--out", tmp_path / "answers.csv") == 0
    assert (tmp_path / "answers.csv").read_text().count("\n") == 31
    assert run("sample", tmp_path / "run") == 2
    assert "a run of classification cannot sample; use recurra predict" in capsys.readouterr().err


def test_new_cases_are_scored_where_the_old_ones_are_gone(tmp_path, capsys):
    train, test = reviews(tmp_path / "train.csv", 90), reviews(tmp_path / "test.csv", 30, seed=1)
    options = "--text review --label side --hidden-size 8 --epochs 1 --no-baselines".split()
    assert run("fit", "classification", train, "--out", tmp_path / "run", *options) == 0
    train.unlink()
    capsys.readouterr()
    assert run("evaluate", tmp_path / "run", test) == 0
    printed = capsys.readouterr()
    assert "model\t" in printed.out and "without counted models beside it" in printed.err


def test_models_that_are_counted_are_refused_before_others_are_trained(tmp_path, capsys):
    train, out = reviews(tmp_path / "train.csv", 90), tmp_path / "models"
    models = ["--models", "gru,hmm", "--text", "review", "--label", "side"]
    assert run("compare", "classification", train, "--out", out, *models) == 2
    assert "these are texts, whose models are n-grams" in capsys.readouterr().err and not out.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--text", "revew", "--label", "side"], "revew"),
        (["--pooling", "sum"], "--pooling"),
        (["--text", "review", "--label", "side", "--encoding", "ascii"], None),
        (["--text", "review", "--label", "side", "--cell", "lsmt"], "did you mean 'lstm'"),
        (["--text", "review", "--label", "side", "--dropout", "1"], "--dropout 1"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_nothing(tmp_path, capsys, options, said):
    train = reviews(tmp_path / "train.csv", 60)
    if said is None:
        train.write_text(train.read_text().replace("film", "filme ünd"))
        said = "train.csv: line "
    assert run("fit", "classification", train, "--out", tmp_path / "run", *options) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_series_that_is_not_finite_is_named(tmp_path, capsys):
    file = waves(tmp_path / "waves.ts", 10)
    file.write_text(file.read_text().replace(":rise", ",nan:rise", 1))
    assert run("fit", "classification", file, "--out", tmp_path / "run") == 2
    assert f"{file}: line 10" in capsys.readouterr().err
