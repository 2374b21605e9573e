"""Pairs on disk: the same as in the files, and read once."""

import numpy as np
import pytest

from recurra.data.pair_store import keep_pairs, keep_tokens
from recurra.data.parallel import Pair, PairColumns, read_pairs
from recurra.errors import BadInput


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a").write_text("one\n\nthree ⅓\n")
    (tmp_path / "b").write_text("eins\nzwei\ndrei\n")
    return [tmp_path / "a", tmp_path / "b"]


def kept(paths):
    return keep_pairs(paths, lambda: read_pairs(paths, PairColumns()), "plain")


def test_pairs_come_back_and_are_read_once(files):
    store = kept(files)
    assert [store[number] for number in range(len(store))] == [
        Pair("one", "eins", f"{files[0]}: line 1"),
        Pair("", "zwei", f"{files[0]}: line 2"),
        Pair("three ⅓", "drei", f"{files[0]}: line 3"),
    ]
    assert list(store.side(target=False)) == ["one", "", "three ⅓"]
    assert list(store.side(target=True)) == ["eins", "zwei", "drei"]
    with pytest.raises(IndexError):
        store[3]
    assert keep_pairs(files, lambda: pytest.fail("read again"), "plain")[2] == store[2]
    assert keep_pairs(files, lambda: [Pair("a", "b", "c")], "otherwise")[0].source == "a"


def test_the_same_content_elsewhere_has_its_own_places(files, tmp_path):
    kept(files)
    (tmp_path / "copy").mkdir()
    copies = [path.rename(tmp_path / "copy" / path.name) for path in files]
    assert kept(copies)[0].place == f"{copies[0]}: line 1"


def test_changed_files_are_read_anew(files):
    before = kept(files)
    files[1].write_text("eins\nzwo\ndrei\n")
    after = kept(files)
    assert after[1].target == "zwo" and before[1].target == "zwei" and before.hashes != after.hashes


def test_tokens_are_those_of_each_text(files):
    store = kept(files)

    def encode(text):
        return np.frombuffer(text.encode(), np.uint8)

    found = keep_tokens(store, target=False, encode=encode, dtype=np.dtype(np.uint8), depends="bytes")
    assert [bytes(found[number][:, 0]).decode() for number in range(3)] == ["one", "", "three ⅓"]
    again = keep_tokens(store, target=False, encode=None, dtype=np.dtype(np.uint8), depends="bytes")
    assert again.lengths.tolist() == [3, 0, 9]


def test_no_pairs_at_all(files):
    (files[0].parent / "t.csv").write_text("source,target\n")
    with pytest.raises(BadInput, match="holds no pairs"):
        kept([files[0].parent / "t.csv"])
