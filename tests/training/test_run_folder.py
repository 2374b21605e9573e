"""Run folders are never overwritten, and say what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.errors import BadInput
from recurra.training.run_folder import RunFolder
from tests.training.tiny import record


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", record())
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(BadInput, match="exists already; choose another --out, or continue that run with --resume"):
        RunFolder.create(tmp_path / "run", record(task="other"))
    assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_other_folders_and_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("words")
    (tmp_path / "file").write_text("words")
    for name in ("thesis", "file", "file/below"):
        with pytest.raises(BadInput, match="choose another --out"):
            RunFolder.create(tmp_path / name, record())
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == (tmp_path / "file").read_text() == "words"


def test_what_a_kill_in_the_first_instant_leaves_is_taken(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".config.json.7.part").write_text('{"form')
    assert RunFolder.create(tmp_path / "run", record()).record["task"] == "tiny"
    assert RunFolder.open(tmp_path / "run").load_checkpoint() is None
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not a run folder"),
        ('{"format": 1, "ta', "cannot be read as JSON"),
        ('{"format": 1, "task": "t\xff"', "cannot be read as JSON"),
        ("[1]", "not written by Recurra"),
        ('{"task": "tiny"}', "not written by Recurra"),
        (json.dumps({"format": 99, "version": "7.1"}), "format 99, .* written by Recurra 7.1: install that version"),
        (json.dumps({"format": 1, "task": "tiny", "config": {}, "data": {}}), "damaged .no hashes in it.; restore it"),
    ],
)
def test_folders_that_cannot_be_opened(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(BadInput, match=message) as caught:
        RunFolder.open(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such run folder; make one with: recurra fit"):
        RunFolder.open(tmp_path / "run")


def test_half_a_last_line_of_metrics_is_dropped(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", record())
    records: list[dict[str, Any]] = [{"update": 1, "loss": 0.1}, {"update": 2, "loss": 0.2}]
    for one in records:
        folder.log(one)
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"update": 3, "lo')
    assert folder.metrics() == records
    folder.keep_metrics(lambda one: one["update"] < 2)
    folder.log({"update": 2, "loss": 0.3})
    assert folder.metrics() == [records[0], {"update": 2, "loss": 0.3}]


def test_the_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", record())
    for update in (5, 10, 1_000_000_000, 2_000_000_000):
        folder.save_checkpoint(update, {"update": update, "weight": torch.ones(1)})
    kept = [path.name for path in folder.checkpoints()]
    assert kept == ["update-1000000000.safetensors", "update-2000000000.safetensors"]
    (folder.path / "checkpoints" / ".update-3.safetensors.9.part").write_text("half")
    assert folder.load_checkpoint()["update"] == 2_000_000_000
    assert len(list((folder.path / "checkpoints").iterdir())) == 2


def test_scores_of_a_run_that_has_not_finished_or_is_damaged(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", record())
    with pytest.raises(BadInput, match="has not finished; go on with: .* --resume"):
        folder.scores()
    folder.write_json("scores.json", {"seconds": 1.5})
    assert folder.scores() == {"seconds": 1.5}
    (folder.path / "scores.json").write_text('{"seco')
    with pytest.raises(BadInput, match="cannot be read as JSON .* delete it and resume"):
        folder.scores()
