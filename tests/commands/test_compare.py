import json

import pytest

from recurra.commands.main import main
from recurra.tasks.run import load
from tests.commands.conftest import TINY

MODELS = ("--models", "2-gram,window-3,elman")
BUDGET = (*TINY, "--time-limit", "60")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, text):
    """A comparison that has been made."""
    out = tmp_path_factory.mktemp("comparison") / "models"
    with pytest.raises(SystemExit) as exit_:
        main(["compare", "language-model", str(text), *MODELS, "--out", str(out), *BUDGET])
    assert exit_.value.code == 0
    return out


def test_every_model_has_a_row_and_every_network_a_run(recurra, folder, text):
    code, out, err = recurra("compare", "language-model", text, *MODELS, "--out", folder, *BUDGET, "--resume")
    assert code == 0 and "elman (3 of 3)" in err
    header, *rows = [line.split("\t") for line in out.splitlines()]
    assert header == [
        "model",
        "parameters",
        "seconds",
        "dev bits per character (bits)",
        "test bits per character (bits)",
    ]
    assert [row[0] for row in rows] == ["2-gram", "window-3", "elman"]
    for name, parameters, seconds, dev, test in rows[1:]:
        run = load(folder / name)
        scores = run.scores["scores"]
        assert int(parameters) == sum(weights.numel() for weights in run.model.parameters())
        assert float(seconds) == pytest.approx(run.scores["seconds"], abs=0.051)
        assert (dev, test) == tuple(f"{scores[part][0]['value']:.4f}" for part in ("dev", "test"))
    assert (load(folder / "window-3").model.window, load(folder / "elman").config.cell) == (3, "elman")
    for picture in ("time.png", "parameters.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


def test_resume_trains_what_is_new_and_keeps_the_rest(recurra, folder, text):
    before = (folder / "elman" / "model.safetensors").stat().st_mtime_ns
    models = ("--models", "elman,gru")
    code, out, _ = recurra("compare", "language-model", text, *models, "--out", folder, *BUDGET, "--resume", "--json")
    found = json.loads(out)
    assert code == 0 and [result["name"] for result in found["results"]] == ["elman", "gru"]
    assert found == json.loads((folder / "comparison.json").read_text())
    assert (folder / "elman" / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_that_exists_is_never_overwritten(refused, folder, text):
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    assert "--resume" in refused("compare", "language-model", text, *MODELS, "--out", folder, *BUDGET)
    other = ("--layers", "2", "--resume")
    assert "other options" in refused("compare", "language-model", text, *MODELS, "--out", folder, *BUDGET, *other)
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--models", "5-gram,lstn"), "unknown model 'lstn'; did you mean 'lstm'?"),
        (("--models", "7-gram"), "did you mean '6-gram'?"),
        (("--models", "window-0"), "did you mean 'window'?"),
        (("--models", ""), "unknown model ''"),
        (("--models", "gru", "--cell", "lstm"), "--cell"),
        (("--models", "2-gram,gru", "--batch-size", "1000"), "smaller --batch-size"),
        (("--models", "2-gram,gru", "--hidden-size", "0"), "--hidden-size"),
    ],
)
def test_nothing_is_trained_or_made_before_all_is_known_to_work(refused, tmp_path, text, options, said):
    assert said in refused("compare", "language-model", text, "--out", tmp_path / "out", *options)
    assert list(tmp_path.iterdir()) == []


def test_a_network_whose_numbers_run_out_of_range_leaves_the_others_theirs(recurra, tmp_path, text):
    wild = ("--optimizer", "sgd", "--learning-rate", "3e38", "--clip-norm", "1e38", "--time-limit", "30")
    out = tmp_path / "out"
    code, out_, err = recurra("compare", "language-model", text, "--models", "lstm,1-gram", "--out", out, *TINY, *wild)
    assert code == 0 and [line.split("\t")[0] for line in out_.splitlines()] == ["model", "1-gram"]
    assert "not finite" in err and list(json.loads((out / "comparison.json").read_text())["failed"]) == ["lstm"]


def test_without_a_folder_it_takes_the_next_free_one(recurra, tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert recurra("compare", "language-model", text, "--models", "1-gram")[0] == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["compared", "compared-2"]
