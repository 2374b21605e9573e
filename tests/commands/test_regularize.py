"""Penalties from the command line: what is left of them in a run, and what is refused."""

import json

import pytest

from tests.commands.conftest import TINY

ASKED = (
    "--regularize",
    "gradient-flow=0.01",
    "--regularize",
    "recurrent:group-out=0.2",
    "--regularize",
    "output:l1=0.02",
)
SGD = ("--optimizer", "sgd", "--learning-rate", "0.5")


def test_a_run_says_which_share_of_its_weights_is_zero(recurra, text, tmp_path):
    out = tmp_path / "run"
    code, _, err = recurra("fit", "language-model", text, "--out", out, *TINY, *SGD, *ASKED, "--no-baselines")
    assert code == 0
    zeros = json.loads((out / "scores.json").read_text())["zeros"]
    assert set(zeros) == {"input", "recurrent", "bias", "embedding", "output"}
    recurrent = zeros["recurrent"]
    assert recurrent["weights"] == 4 * 8 * 8 and recurrent["zero"] == 256  # no unit is worth 0.2 · √32 to be read
    assert 0 < zeros["output"]["zero"] < zeros["output"]["weights"] and zeros["input"]["zero"] == 0
    line = "weights that are zero: input 0.0% of 256, recurrent 100.0% of 256"
    assert line in err and line.capitalize() in (out / "README.md").read_text()
    assert line in recurra("evaluate", out)[2]


def test_a_run_without_penalties_says_nothing_of_zeros(finished):
    assert "zeros" not in json.loads((finished / "scores.json").read_text())
    assert "zero" not in (finished / "README.md").read_text().split("## Data")[0]


def test_a_run_resumes_with_its_own_penalties_only(recurra, refused, text, tmp_path):
    out = tmp_path / "run"
    words = ("fit", "language-model", text, "--out", out, *TINY, "--no-baselines", "--resume")
    assert recurra(*words, *ASKED)[0] == 0 and recurra(*words, *ASKED)[0] == 0
    assert "another regularize" in refused(*words, "--regularize", "recurrent:l1=0.1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--regularize", "recurent:l1=1"), "did you mean 'recurrent'?"),
        (("--regularize", "recurrent:l1=-1"), "out of range"),
        (("--regularize", "recurrent:l1"), "has no strength"),
        (("--regularize", "decoder.*:l1=1"), "the model has no such weights; it has weights of the groups"),
        (("--model", "window", "--regularize", "recurrent:l1=1"), "the model has no such weights"),
        (("--model", "window", "--regularize", "gradient-flow=1"), "has no Recurrent layer"),
        (("--cell", "min-gru", "--regularize", "recurrent:l1=1"), "the model has no such weights"),
    ],
)
def test_what_is_refused_before_anything_is_made(refused, text, tmp_path, options, said):
    assert said in refused("fit", "language-model", text, "--out", tmp_path / "out", *TINY, *options)
    assert not (tmp_path / "out").exists()


def test_a_comparison_refuses_it_before_any_model_is_trained(refused, text, tmp_path):
    words = ("--models", "lstm,min-gru", "--out", tmp_path / "out", "--regularize", "recurrent:l1=1", *TINY)
    assert "the model has no such weights" in refused("compare", "language-model", text, *words)
    assert not (tmp_path / "out").exists()


def test_a_start_is_taken_and_one_that_the_cell_cannot_take_is_refused(recurra, refused, text, tmp_path):
    words = ("fit", "language-model", text, "--out", tmp_path / "out", *TINY, "--no-baselines")
    assert "--start identity: MinGRU: has no square matrix" in refused(
        *words, "--cell", "min-gru", "--start", "identity"
    )
    assert "unknown value of --start 'orthogonall'; did you mean 'orthogonal'?" in refused(
        *words, "--start", "orthogonall"
    )
    assert not (tmp_path / "out").exists()
    assert recurra(*words, "--start", "orthogonal", "--chrono", "10")[0] == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())["config"]
    assert config["start"] == "orthogonal" and config["chrono"] == 10
