"""A run folder written by an earlier version loads, and scores a text as it did then."""

import shutil
from pathlib import Path

import pytest

import recurra

STORED = Path(__file__).parent / "stored"


def test_a_stored_run_scores_its_text_as_it_did(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(STORED)  # the run names its text from here
    run = recurra.load(shutil.copytree(STORED / "run", tmp_path / "run"))
    then = run.final_scores()["model"]
    now = run.evaluate()["model"]
    assert [score.name for score in now] == [score.name for score in then]
    # float32 sums over 182 tokens, in whatever order this machine takes them
    assert [score.value for score in now] == pytest.approx([score.value for score in then], rel=1e-5)
