import numpy as np
import pytest

from recurra.data.characters import Characters
from recurra.errors import BadInput

TEXT = "naïve 你好 👋\r\n\tλόγος"


def test_ids_are_the_places_in_code_point_order():
    vocabulary = Characters.build([TEXT[:5], TEXT[5:]])
    order = sorted(set(TEXT))
    assert len(vocabulary) == len(order) + 1
    assert vocabulary.encode(TEXT).tolist() == [1 + order.index(character) for character in TEXT]
    assert vocabulary.encode(TEXT).dtype == np.uint8


def test_decoding_is_the_exact_inverse_at_once_and_one_by_one():
    vocabulary = Characters.build([TEXT])
    ids, decoder = vocabulary.encode(TEXT), vocabulary.decoder()
    assert vocabulary.decode(ids) == vocabulary.decode(ids.tolist()) == TEXT
    assert "".join(decoder.push(token) for token in ids.tolist()) + decoder.finish() == TEXT
    assert np.concatenate(list(vocabulary.encode_chunks([TEXT[:9], TEXT[9:]]))).tolist() == ids.tolist()


def test_ids_have_the_smallest_type_that_holds_them():
    for known, dtype in [(255, np.uint8), (256, np.uint16)]:
        text = "".join(chr(0x4E00 + n) for n in range(known))
        vocabulary = Characters.build([text])
        assert vocabulary.dtype == dtype and vocabulary.decode(vocabulary.encode(text)) == text


def test_characters_that_training_did_not_see_are_unknown():
    vocabulary = Characters.build(["aab"])
    assert vocabulary.encode("abz\U0010ffff\udc80").tolist() == [1, 2, 0, 0, 0]
    assert vocabulary.decode([1, 0, 2]) == "a\ufffdb"
    assert Characters.build(["aabbc"], min_count=2).characters == "ab"
    assert Characters.build(["abbccc"], size=3).characters == "bc"


def test_strict_encoding_names_the_first_unseen_character():
    vocabulary = Characters.build(["hello\n"])
    assert vocabulary.encode_strict("hell").tolist() == vocabulary.encode("hell").tolist()
    assert vocabulary.encode_strict("").tolist() == []
    with pytest.raises(BadInput) as caught:
        vocabulary.encode_strict("hélas")
    assert str(caught.value) == (
        "prompt: the character 'é' (U+00E9) at position 1 never occurs in the training text; "
        r"use the 5 known ones: '\nehlo'"
    )
