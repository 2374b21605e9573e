import random
from collections import Counter

import pytest

from recurra.data.lexicon import frequent, whole_words


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_pieces_are_the_text_and_begin_with_a_blank_after_a_word(size):
    rng = random.Random(size)
    for _ in range(200):
        text = "".join(rng.choices("ab \n\t'", k=rng.randrange(30)))
        cuts = sorted(rng.randrange(len(text) + 1) for _ in range(3))
        chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        pieces = list(whole_words(chunks, size))
        assert "".join(pieces) == text
        for before, after in zip(pieces, pieces[1:], strict=False):
            assert not before[-1].isspace() and after[0] in " \n\t"


def test_pieces_stay_small_where_words_do():
    assert max(map(len, whole_words(["word " * 10_000], 100))) <= 105


def test_frequent_keeps_a_place_for_unknown_and_breaks_ties_by_code_point():
    counts = Counter({"b": 2, "a": 2, "c": 5, "d": 1, "<unk>": 9})
    assert frequent(counts, 1, None) == ["c", "a", "b", "d"]
    assert frequent(counts, 2, None) == ["c", "a", "b"]
    assert frequent(counts, 1, 3) == ["c", "a"]
