import json

from tests.commands.conftest import TINY


def rows(table):
    return [line.split("\t") for line in table.splitlines()]


def test_fit_leaves_a_run_folder(finished):
    names = {path.name for path in finished.iterdir()}
    assert {"config.json", "model.safetensors", "vocabulary.json", "metrics.jsonl", "scores.json", "README.md"} <= names
    assert {path.name for path in (finished / "pictures").iterdir()} == {"learning-curve.png", "scores.png"}
    config = json.loads((finished / "config.json").read_text())["config"]
    assert (config["hidden_size"], config["steps"], config["cell"]) == (8, 10, "lstm")


def test_a_finished_run_resumed_shows_its_scores_and_trains_nothing(recurra, finished, text):
    before = (finished / "metrics.jsonl").read_bytes()
    code, out, err = recurra("fit", "language-model", text, "--out", finished, *TINY, "--resume")
    assert code == 0 and "this run had finished" in err
    header, *found = rows(out)
    assert header[:2] == ["model", "bits per character (bits)"] and header[-1] == "measured on"
    scores = json.loads((finished / "scores.json").read_text())
    values = {"model": scores["scores"]["test"], **scores["baselines"]}
    assert {row[0]: row[1] for row in found} == {name: f"{given[0]['value']:.4f}" for name, given in values.items()}
    assert (finished / "metrics.jsonl").read_bytes() == before


def test_json_is_all_that_standard_output_gets(recurra, finished, text):
    code, out, _ = recurra("fit", "language-model", text, "--out", finished, *TINY, "--resume", "--json")
    assert code == 0 and set(json.loads(out)) == {"model", "unigram", "5-gram", "window-5"}


def test_a_finished_run_resumed_with_other_options_is_refused(refused, finished, text):
    line = refused("fit", "language-model", text, "--out", finished, *TINY, "--layers", "2", "--resume")
    assert "layers (1)" in line and "resume with the options it was started with" in line
