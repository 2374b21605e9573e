"""``recurra quantize``: a run folder like any other, whose scores are those of its rounded weights."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from recurra.tasks.run import load
from tests.commands.test_bad_input import contents, harmless  # noqa: F401 (a fixture)
from tests.commands.test_evaluate import evaluated, nats_by_step


@pytest.fixture(scope="module")
def quantized(finished, tmp_path_factory):
    """A run folder made by the command; tests leave it as it is."""
    from recurra.commands.main import main

    out = tmp_path_factory.mktemp("runs") / "small"
    before = contents(finished)
    with pytest.raises(SystemExit) as exit_:
        main(["quantize", str(finished), "--out", str(out)])
    assert exit_.value.code == 0 and contents(finished) == before
    return out


def test_scores_are_those_of_the_rounded_weights(recurra, finished, quantized):
    weights = load_file(quantized / "model.safetensors")
    run = load(finished)
    model, data = run.model.double(), run.data
    plain = {name: value for name, value in weights.items() if not name.endswith(("_int8", "_scale"))}
    for name in [name.removesuffix("_int8") for name in weights if name.endswith("_int8")]:
        assert weights[f"{name}_int8"].dtype == torch.int8
        plain[name] = weights[f"{name}_int8"].double() * weights[f"{name}_scale"].double()[:, None]
    exact = nats_by_step(model, data.test)
    model.load_state_dict(plain)
    want = nats_by_step(model, data.test) / (len(data.test) - 1)
    found = evaluated(recurra, quantized)
    assert found["model"]["nats/token"] == pytest.approx(want, rel=1e-6)
    assert found["model"]["nats/token"] != pytest.approx(exact / (len(data.test) - 1), rel=1e-7)
    assert list(found) == ["model", "unigram", "5-gram", f"window-{run.config.window}"]
    stored = json.loads((quantized / "scores.json").read_text())["scores"]["test"]
    assert {score["unit"]: score["value"] for score in stored} == pytest.approx(found["model"], rel=1e-6)


def test_both_scores_are_printed(recurra, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    code, out, err = recurra("quantize", tmp_path / "run", "--json")
    assert code == 0 and f"{tmp_path / 'run-int8'}: 0.0 MB of weights" in err
    scores = json.loads(out)
    kept = json.loads((finished / "scores.json").read_text())["scores"]["test"]
    assert list(scores) == ["float32", "int8"] and scores["float32"] == kept
    assert 0 < abs(scores["int8"][0]["value"] - kept[0]["value"]) < 0.01 * kept[0]["value"]
    assert "then rounded to int8, from" in (tmp_path / "run-int8" / "README.md").read_text()


def test_it_samples_inspects_and_is_never_trained_on(recurra, quantized, text, tmp_path):
    code, out, _ = recurra("sample", quantized, "--length", "20", "--seed", "1", "--prompt", "the")
    assert code == 0 and out.startswith("the") and len(out) >= 20
    copy = tmp_path / "copy"
    shutil.copytree(quantized, copy)
    assert recurra("inspect", copy)[0] == 0
    before = (copy / "model.safetensors").read_bytes()
    from tests.commands.conftest import TINY

    code, _, err = recurra("fit", "language-model", text, "--out", copy, *TINY, "--resume")
    assert code == 0 and "nothing was left to do" in err and (copy / "model.safetensors").read_bytes() == before


def test_what_cannot_be_quantized(harmless, finished, quantized, tmp_path):  # noqa: F811
    assert "no such run folder" in harmless("quantize", tmp_path / "none")
    assert "its weights are int8 already" in harmless("quantize", quantized, "--out", tmp_path / "again")
    assert "nothing to quantize: it has no recurrent layer" in harmless(
        "quantize", finished / "baselines" / "window", "--out", tmp_path / "window"
    )
    shutil.copytree(finished, tmp_path / "run")
    assert "exists already; choose another --out" in harmless("quantize", finished, "--out", tmp_path / "run")
    (tmp_path / "file").write_text("mine")
    assert "cannot make this folder" in harmless("quantize", finished, "--out", tmp_path / "file" / "run")
    (tmp_path / "run" / "scores.json").unlink()
    line = harmless("quantize", tmp_path / "run", "--out", tmp_path / "small")
    assert "has not finished; go on with" in line and "--resume" in line


def test_weights_that_are_not_what_the_record_says(harmless, quantized, finished, tmp_path):  # noqa: F811
    shutil.copytree(quantized, tmp_path / "run")
    shutil.copy(finished / "model.safetensors", tmp_path / "run" / "model.safetensors")
    assert "does not fit config.json" in harmless("sample", tmp_path / "run")


def test_a_cell_that_runs_step_by_step(recurra, refused, text, tmp_path):
    from tests.commands.conftest import TINY

    assert (
        recurra("fit", "language-model", text, "--out", tmp_path / "run", *TINY, "--cell", "mlstm", "--no-baselines")[0]
        == 0
    )
    assert "nothing to quantize: it runs step by step in PyTorch" in refused("quantize", tmp_path / "run")
