import random

import numpy as np
import pytest

from recurra.data.pretokenised import PRETOKENISED
from recurra.data.words import WORDS
from recurra.errors import BadInput

TEXT = "\"It's état-of-the-art,\" she said (quietly):\n\n  don't —  yes!\r\nNaïve $5 cafe\u0301s…"
TOKENS = [
    *['"', "It's", "état-of-the-art", ",", '"', "she", "said", "(", "quietly", ")", ":", "\n", "\n"],
    *["don't", "—", "yes", "!", "\n", "Naïve", "$", "5", "cafe\u0301s", "…"],
]


def pieces(vocabulary, ids):
    return [["<unk>", *vocabulary.types][token] for token in ids]


def test_words_marks_and_line_ends_are_tokens():
    vocabulary = WORDS.build([TEXT])
    assert pieces(vocabulary, vocabulary.encode(TEXT)) == TOKENS
    assert len(vocabulary) == len(set(TOKENS)) + 1
    assert vocabulary.types[0] == "\n"  # the most frequent


def test_words_read_as_they_are_printed():
    text = "\"It's état-of-the-art,\" she said (quietly):\n\ndon't — yes!\nNaïve $5 cafe\u0301s…"
    vocabulary = WORDS.build([TEXT])
    assert vocabulary.decode(vocabulary.encode(TEXT)) == text
    assert vocabulary.decode([]) == ""


def test_pretokenised_text_is_taken_as_it_is():
    text = "the <unk> 's N\n  no verses \n\nend"
    tokens = ["the", "<unk>", "'s", "N", "<eos>", "no", "verses", "<eos>", "<eos>", "end"]
    vocabulary = PRETOKENISED.build([text])
    ids = vocabulary.encode(text)
    assert pieces(vocabulary, ids) == tokens
    assert ids[1] == 0 and len(vocabulary) == len(set(tokens))
    assert vocabulary.decode(ids) == "the <unk> 's N\nno verses\n\nend"


@pytest.mark.parametrize("kind", [WORDS, PRETOKENISED])
def test_chunks_cut_anywhere_give_the_ids_of_the_whole(kind):
    rng, vocabulary = random.Random(0), kind.build([TEXT])
    whole = vocabulary.encode(TEXT).tolist()
    for _ in range(100):
        cuts = sorted(rng.randrange(len(TEXT) + 1) for _ in range(rng.randrange(9)))
        chunks = [TEXT[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        assert np.concatenate(list(vocabulary.encode_chunks(chunks))).tolist() == whole
        assert kind.build(chunks).types == vocabulary.types


@pytest.mark.parametrize("kind", [WORDS, PRETOKENISED])
def test_rare_words_are_unknown(kind):
    vocabulary = kind.build(["a a a b b c"], min_count=2)
    assert vocabulary.types == ["a", "b"] and vocabulary.encode("a c b zebra").tolist() == [1, 0, 2, 0]
    assert kind.build(["a a a b b c"], size=2).types == ["a"]
    assert vocabulary.decode([1, 0]) == "a <unk>"


@pytest.mark.parametrize("kind", [WORDS, PRETOKENISED])
def test_strict_encoding_names_the_first_unknown_word(kind):
    vocabulary = kind.build(["the cat\nsat\n"])
    assert vocabulary.encode_strict("cat\nsat").tolist() == vocabulary.encode("cat\nsat").tolist()
    with pytest.raises(BadInput) as caught:
        vocabulary.encode_strict("the\ncta dog")
    assert str(caught.value) == (
        "prompt: the word 'cta' at position 4 is not among the 4 words that the model knows; did you mean 'cat'?"
    )
