"""Everything a user can get wrong: code 2, one line, nothing made or changed."""

import hashlib
import json
import shutil

import pytest

from tests.commands.conftest import TINY, write_text


def contents(folder):
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def harmless(refused, tmp_path):
    """``refused``, and everything below ``tmp_path`` is as it was."""

    def run(*words):
        before, entries = contents(tmp_path), sorted(tmp_path.rglob("*"))
        line = refused(*words)
        assert contents(tmp_path) == before and sorted(tmp_path.rglob("*")) == entries
        return line

    return run


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run to damage."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def edit(run, **values):
    record = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**record, **values}))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"text\0text", "looks binary"),
        (b"caf\xe9 " * 100, "not UTF-8"),
        (b"short", "use a longer text"),
    ],
)
def test_data_that_cannot_be_used(harmless, tmp_path, content, said):
    data = tmp_path / "data.txt"
    if content is not None:
        data.write_bytes(content)
    line = harmless("fit", "language-model", data, "--out", tmp_path / "out", *TINY)
    assert said in line and ("data.txt" in line or said == "use a longer text")


@pytest.mark.parametrize("part", ["--dev", "--test"])
def test_a_part_too_short_to_score(harmless, tmp_path, text, part):
    (tmp_path / "part.txt").write_text("a")
    line = harmless("fit", "language-model", text, part, tmp_path / "part.txt", "--out", tmp_path / "out", *TINY)
    assert f"the {part[2:]} part has 1 tokens" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cell", "lstn"), "unknown cell 'lstn'; did you mean 'lstm'?"),
        (("--stride", "11"), "--stride"),
        (("--tied", "--embedding-size", "5"), "--embedding-size"),
        (("--residual", "--embedding-size", "5"), "--embedding-size"),
        (("--vectors", "none.txt"), "none.txt"),
        (("--device", "mps"), "--device mps"),
    ],
)
def test_options_that_do_not_fit(harmless, tmp_path, text, options, said):
    assert said in harmless("fit", "language-model", text, "--out", tmp_path / "out", *TINY, *options)


def test_a_run_that_exists_is_never_overwritten(harmless, run, text):
    assert "--resume" in harmless("fit", "language-model", text, "--out", run, *TINY)


def test_a_file_where_the_folder_should_be(harmless, tmp_path, text):
    (tmp_path / "file").write_text("mine")
    assert "exists already" in harmless("fit", "language-model", text, "--out", tmp_path / "file", *TINY)
    assert "cannot make" in harmless("fit", "language-model", text, "--out", tmp_path / "file" / "run", *TINY)


@pytest.mark.parametrize("verb", ["evaluate", "sample", "inspect"])
def test_folders_that_are_no_runs(harmless, tmp_path, verb):
    assert "no such run folder" in harmless(verb, tmp_path / "none")
    (tmp_path / "folder").mkdir()
    assert "not a run folder" in harmless(verb, tmp_path / "folder")
    (tmp_path / "folder" / "config.json").write_text('{"model_type": "bert"}')
    assert "not written by Recurra" in harmless(verb, tmp_path / "folder")
    (tmp_path / "folder" / "config.json").write_text("{")
    assert "cannot be read as JSON" in harmless(verb, tmp_path / "folder")


def test_a_run_of_another_version(harmless, run):
    edit(run, format=99, version="9.0")
    line = harmless("sample", run)
    assert "format 99" in line and "Recurra 9.0" in line


def test_a_configuration_of_another_version(harmless, run):
    edit(run, config={"hidden_size": 8, "hyper_size": 3}, version="9.0")
    line = harmless("sample", run)
    assert "config.json" in line and "hyper_size" in line and "Recurra 9.0" in line


def test_an_unknown_task(harmless, run):
    edit(run, task="langage-model")
    assert "did you mean 'language-model'?" in harmless("sample", run)


@pytest.mark.parametrize("name", ["model.safetensors", "vocabulary.json"])
def test_files_cut_in_half(harmless, run, name):
    half = (run / name).read_bytes()
    (run / name).write_bytes(half[: len(half) // 2])
    assert name in harmless("sample", run)


def test_weights_of_another_model(harmless, run):
    edit(run, config={"hidden_size": 9})
    assert "does not fit config.json" in harmless("sample", run)


def test_a_checkpoint_cut_in_half(harmless, run, text):
    (run / "scores.json").unlink()
    newest = max((run / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:1000])
    line = harmless("fit", "language-model", text, "--out", run, *TINY, "--resume")
    assert newest.name in line and "delete this file and resume" in line


def test_data_that_changed_since(harmless, recurra, tmp_path):
    text = write_text(tmp_path / "text.txt")
    code, _, _ = recurra("fit", "language-model", text, "--out", tmp_path / "out", *TINY, "--no-baselines")
    assert code == 0
    write_text(text, seed=5)
    line = harmless("evaluate", tmp_path / "out")
    assert str(text) in line and "has changed since" in line


@pytest.mark.parametrize(
    ("values", "said"), [({"data": {"tran": []}}, "train: Field required"), ({"data": []}, "valid dictionary")]
)
def test_a_record_that_is_damaged(harmless, run, values, said):
    edit(run, **values)
    line = harmless("sample", run)
    assert "config.json" in line and said in line and "https" not in line


@pytest.mark.parametrize("verb", [("fit",), ("compare", "--models", "gru")])
def test_files_for_a_task_that_draws_its_own(harmless, tmp_path, text, verb):
    line = harmless(verb[0], "program-execution", text, *verb[1:], "--out", tmp_path / "out")
    assert "programs are drawn, not read; leave it out" in line and str(text) in line
