"""Sentences that come back from numbers on disk as they stood in the file."""

import numpy as np
import pytest

from recurra.data.sentences import find_layout
from recurra.data.token_store import read_labels, read_part
from recurra.errors import BadInput

FIRST = "the D\ncat N\n\nthe D\ndog N\nran V\n"
SECOND = "-DOCSTART- X\n\nthe X\n\n\nend N\n"


@pytest.fixture
def layout(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_text(FIRST)
    (tmp_path / "b.txt").write_text(SECOND)
    return find_layout(tmp_path / "a.txt", None, None, None)


def stored(folder, layout):
    part, _ = read_part([folder / "a.txt", folder / "b.txt"], layout)
    return part


def test_words_tags_and_places(tmp_path, layout):
    for _ in range(2):  # read anew, and from the cache
        part = stored(tmp_path, layout)
        assert [part.words(number) for number in range(len(part))] == [
            ["the", "cat"],
            ["the", "dog", "ran"],
            ["the"],
            ["end"],
        ]
        assert [part.tags(number) for number in range(len(part))] == [["D", "N"], ["D", "N", "V"], ["X"], ["N"]]
        assert part.lengths.tolist() == [2, 3, 1, 1]
        assert part.place(1, 2) == f"{tmp_path / 'a.txt'}: line 6"
        assert part.place(2, 0) == f"{tmp_path / 'b.txt'}: line 3"
        assert part.place(3, 0) == f"{tmp_path / 'b.txt'}: line 6"


def test_counts_are_of_the_part(tmp_path, layout):
    part = stored(tmp_path, layout)
    assert dict(zip(part.kinds[0], part.counts(0).tolist(), strict=True)) == {
        "the": 3,
        "cat": 1,
        "dog": 1,
        "ran": 1,
        "end": 1,
    }
    assert dict(zip(part.kinds[1], part.counts(part.label).tolist(), strict=True)) == {"D": 2, "N": 3, "V": 1, "X": 1}


def test_parts_that_are_not_given_are_the_last_tenths(tmp_path, layout):
    path = tmp_path / "c.txt"
    path.write_text("".join(f"w{number} T\n\n" for number in range(100)))
    labels = read_labels([path], None, None, layout)
    found = [[part.words(number)[0] for number in range(len(part))] for part in (labels.train, labels.dev, labels.test)]
    assert found == [[f"w{n}" for n in range(*ends)] for ends in ((0, 81), (81, 90), (90, 100))]
    assert labels.dev.place(0, 0).endswith("line 163")
    given = read_labels([path], tmp_path / "a.txt", None, layout)
    assert (len(given.train), len(given.dev), len(given.test)) == (90, 2, 10)
    assert np.array_equal(given.train.counts(0)[:91], [1] * 90 + [0])


def test_too_few_to_cut(tmp_path, layout):
    with pytest.raises(BadInput, match="2 sentences are too few to cut the test part from; give more, or --test FILE"):
        read_labels([tmp_path / "a.txt"], None, None, layout)


def test_a_changed_file_is_read_anew(tmp_path, layout):
    stored(tmp_path, layout)
    (tmp_path / "b.txt").write_text("new N\n")
    assert stored(tmp_path, layout).words(2) == ["new"]


def test_a_damaged_store_is_made_anew(tmp_path, layout):
    stored(tmp_path, layout)
    (rows,) = (tmp_path / "cache").rglob("rows.bin")
    rows.write_bytes(rows.read_bytes()[:-3])
    assert stored(tmp_path, layout).words(1) == ["the", "dog", "ran"]
