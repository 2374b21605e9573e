"""The command line's way through a problem: fit, evaluate, inspect, compare; and what it refuses."""

import pytest

TINY = "--hidden-size 4 --epochs 1 --epoch-size 50 --part-size 20 --threads 1".split()


def test_from_a_name_to_pictures(recurra, tmp_path):
    fit = ["fit", "problem", "adding", "--lag", "5", *TINY, "--out", tmp_path / "run"]
    code, out, err = recurra(*fit)
    header, *rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and header[-1] == "measured on" and header[4] == "solved (1 is yes)"
    assert [row[0] for row in rows] == ["model", "trivial", "optimal"]
    code, again, _ = recurra(*fit, "--resume")
    assert (code, again) == (0, out)
    code, again, err = recurra("evaluate", tmp_path / "run")
    assert (code, again) == (0, out) and "never solved in training" in err and "lag 5 (trained): " in err
    code, out, _ = recurra("inspect", tmp_path / "run")
    assert code == 0 and [line.rpartition("/")[2] for line in out.split()] == [
        "learning-curve.png",
        "scores.png",
        "lags.png",
    ]
    code, _, err = recurra("predict", tmp_path / "run", "-")
    assert code == 2 and "a run of problem cannot predict; use recurra evaluate" in err
    code, out, _ = recurra("explain", tmp_path / "run")
    assert code == 0 and "one compiled loop" in out


def test_models_are_compared_at_a_range_of_lags(recurra, tmp_path):
    words = ["compare", "problem", "adding", "--models", "trivial, gru", "--lag", "4:8", *TINY]
    code, out, _ = recurra(*words, "--out", tmp_path / "lags")
    lines = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and [line[0] for line in lines[1:5]] == ["trivial@4", "trivial@8", "gru@4", "gru@8"]
    assert lines[5:] == [["solved at lag", "4", "8"], ["trivial", "no", "no"], ["gru", "no", "no"]]
    assert (tmp_path / "lags" / "lags.png").read_bytes().startswith(b"\x89PNG")
    assert recurra(*words, "--out", tmp_path / "lags", "--resume")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fit", "problem", "temporal-oder"), "unknown problem 'temporal-oder'; did you mean 'temporal-order'?"),
        (("fit", "problem", "adding", "--lag", "1"), "--lag 1: must be greater than or equal to 2"),
        (("fit", "problem", "adding", "--shape", "cosine"), "--shape: adding has no such choice; leave it out"),
        (("fit", "problem", "anbn", "--cell", "peephole"), "did you mean 'peephole-lstm'?"),
        (("fit", "problem", "anbn", "--curriculum", "gro"), "did you mean 'grow'?"),
        (("fit", "problem"), "NAME"),
        (("compare", "problem", "adding", "--models", "lstm", "--lag", "9:4"), "--lag 9:4: give a lag"),
        (("compare", "problem", "addin", "--models", "lstm", "--lag", "4:9"), "did you mean 'adding'?"),
        (
            ("compare", "problem", "temporal-order", "--models", "lstm", "--lag", "4:9"),
            "--lag 4: temporal-order needs 10",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_nothing(refused, tmp_path, words, said):
    assert said in refused(*words, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
