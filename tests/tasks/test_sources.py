"""What the user names as data, and the files that stand for it."""

import os
from pathlib import Path

import pytest

from recurra.errors import BadInput
from recurra.tasks.sources import Sources

needs_sets = pytest.mark.skipif("RECURRA_DATA" not in os.environ, reason="RECURRA_DATA is not set: no packed data sets")


def names(*paths):
    return [path and path.name for path in paths]


@needs_sets
@pytest.mark.parametrize(
    ("name", "train", "dev", "test"),
    [
        ("tiny-shakespeare", "input.txt.gz", None, None),
        ("conll2000", "train.txt.gz", None, "test.txt.gz"),
        ("sst-2", "stsa.binary.train.gz", "stsa.binary.dev.gz", "stsa.binary.test.gz"),
        ("mnist", "train-images-idx3-ubyte.gz", None, "t10k-images-idx3-ubyte.gz"),
    ],
)
def test_a_set_has_one_file_for_each_part_without_those_of_labels(name, train, dev, test):
    found, *others = Sources.named((name,), None, None).paths()
    assert (names(*found), names(*others)) == ([train], [dev, test])


def test_a_file_named_beside_a_set_takes_the_place_of_its_part(tmp_path, monkeypatch):
    (tmp_path / "own.txt").write_text("3 How far ?\n")
    sources = Sources.named(("trec",), str(tmp_path / "own.txt"), None)
    monkeypatch.setattr("recurra.tasks.sources.locate", lambda _: {"train": tmp_path / "a", "dev": tmp_path / "b"})
    assert sources.paths() == ([tmp_path / "a"], tmp_path / "own.txt", None)


def test_no_run_takes_the_name_of_its_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="trec: would be read in place of the set of that name"):
        Sources.named(("trec",), None, None).check_outside(Path("trec"))


def test_a_set_of_another_task_is_refused():
    trec = Sources.named(("trec",), None, None)
    trec.check_task("classification")
    with pytest.raises(BadInput, match="trec: is a set for classification; use it with that task"):
        trec.check_task("tagging")


def test_unit_and_encoding_are_those_of_the_set(tmp_path):
    (tmp_path / "own.txt").write_text("3 How far ?\n")
    own, trec, ptb = (Sources.named((name,), None, None) for name in (str(tmp_path / "own.txt"), "trec", "ptb"))
    assert [source.encoding() for source in (own, trec, ptb)] == ["utf-8", "latin-1", "utf-8"]
    assert [source.unit() for source in (own, trec, ptb)] == [None, None, "pretokenised"]
