"""Names and their numbers."""

import pytest

from recurra.data.index import Index


def test_numbers_begin_after_the_unknown():
    index = Index(["b", "a"], open=True)
    assert index.numbers(["a", "c", "b"]).tolist() == [2, 0, 1] and len(index) == 3 and "c" not in index


def test_a_closed_index_has_no_unknown():
    index = Index(["b", "a"], open=False)
    assert index.numbers(["a", "b"]).tolist() == [1, 0] and len(index) == 2
    with pytest.raises(KeyError):
        index.numbers(["c"])


def test_a_name_stands_once():
    with pytest.raises(ValueError, match="a name stands twice"):
        Index(["a", "a"], open=False)
