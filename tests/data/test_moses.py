"""Moses' words, as sacremoses has them, and texts that come back."""

import pytest

from recurra.data.moses import MOSES

sacremoses = pytest.importorskip("sacremoses")

TEXTS = [
    "Two young, White males are outside (near many bushes).",
    "It's a man's 3.5 million dollar idea: don't!",
    "A girl in karate uniform breaking a stick with a front kick.",
]


def test_words_are_those_of_sacremoses():
    vocabulary = MOSES.build([f"{text}\n" for text in TEXTS])
    tokenizer = sacremoses.MosesTokenizer(lang="en")
    for text in TEXTS:
        words = tokenizer.tokenize(text, escape=False)
        ids = vocabulary.encode(text)
        assert [vocabulary.types[number - 1] for number in ids] == words
        assert vocabulary.decode(ids) == text
    assert vocabulary.decode([]) == ""


def test_a_decoder_gives_all_at_the_end():
    vocabulary = MOSES.build(["don't stop, now.\n"])
    decoder = vocabulary.decoder()
    assert "".join(decoder.push(token) for token in vocabulary.encode("don't stop, now.")) == ""
    assert decoder.finish() == "don't stop, now." and decoder.finish() == ""
