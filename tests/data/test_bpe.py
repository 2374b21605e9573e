import random
import sys

import numpy as np
import pytest

from recurra.errors import BadInput

tokenizers = pytest.importorskip("tokenizers", reason="needs the text extra")
from recurra.data import bpe  # noqa: E402

TEXT = "The cat's naïve — 你好 👋!  \n\n \tthe  cats   sat;\r\n\r\n don't \x1c! a\xa0 b\n" * 20


@pytest.fixture(scope="module")
def vocabulary():
    return bpe.BytePairs.build([TEXT], size=330)


def whole(vocabulary, text):
    """What the package itself makes of a whole text."""
    return vocabulary._tokenizer.encode(text).ids


def test_ids_are_the_packages_own_wherever_chunks_are_cut(vocabulary, monkeypatch):
    rng = random.Random(0)
    alphabet = [*"ab'st,!1 \n\n\t\r", "  ", "\xa0", "\u3000", "\x1c", "\x85", "你", "é", " the", "cat"]
    for _ in range(300):
        text = "".join(rng.choices(alphabet, k=40))
        cuts = sorted(rng.randrange(len(text) + 1) for _ in range(4))
        chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        monkeypatch.setattr(bpe, "PIECE", rng.randrange(1, 20))
        assert np.concatenate(list(vocabulary.encode_chunks(chunks))).tolist() == whole(vocabulary, text)
        assert vocabulary.encode(text).tolist() == whole(vocabulary, text)


def test_decoding_is_the_exact_inverse_at_once_and_one_by_one(vocabulary):
    text = TEXT + "бук🎼va"  # letters spelt in bytes, as training did not see them
    ids, decoder = vocabulary.encode(text), vocabulary.decoder()
    assert len(ids) < len(text.encode()) and ids.dtype == np.uint16
    assert vocabulary.decode(ids) == text
    pushed = [decoder.push(token) for token in ids.tolist()]
    assert "".join(pushed) + decoder.finish() == text and "" in pushed
    assert vocabulary.decode(ids[:-3]) == vocabulary._tokenizer.decode(ids[:-3].tolist())


def test_a_character_cut_short_ends_as_a_replacement(vocabulary):
    decoder = vocabulary.decoder()
    first, *_ = vocabulary.encode("б").tolist()
    assert (decoder.push(first), decoder.finish()) == ("", "\ufffd")


def test_size_and_count_limit_the_merges():
    assert len(bpe.BytePairs.build([TEXT], size=300)) == 300
    assert len(bpe.BytePairs.build([TEXT], min_count=10_000)) == 256
    with pytest.raises(BadInput, match="vocabulary of 255 has no room for the 256 bytes"):
        bpe.BytePairs.build([TEXT], size=255)


def test_every_prompt_is_known_but_bytes_that_are_no_text(vocabulary):
    assert vocabulary.encode_strict("ж").tolist() == whole(vocabulary, "ж")
    assert vocabulary.encode("").tolist() == []
    with pytest.raises(BadInput, match="prompt: not UTF-8 at position 1"):
        vocabulary.encode_strict("a\udce9")


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(BadInput, match=r"pip install 'recurra\[text\]'"):
        bpe.BytePairs.build([TEXT])
