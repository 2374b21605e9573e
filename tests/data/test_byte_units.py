"""Bytes as units of text."""

import numpy as np
import pytest

from recurra.data.byte_units import Bytes, characters
from recurra.data.vocabulary import build_vocabulary, load_vocabulary, save_vocabulary
from recurra.errors import BadInput

TEXT = "naïve 👋\n"


def test_ids_are_the_bytes_of_utf8(tmp_path):
    vocabulary = build_vocabulary("bytes", ["whatever"])
    assert len(vocabulary) == 256 and vocabulary.unknown is None
    assert vocabulary.encode(TEXT).tolist() == list(TEXT.encode())
    assert np.concatenate(list(vocabulary.encode_chunks([TEXT[:3], TEXT[3:]]))).tolist() == list(TEXT.encode())
    assert vocabulary.decode(list(TEXT.encode())) == TEXT
    decoder = vocabulary.decoder()
    assert "".join(map(decoder.push, TEXT.encode())) + decoder.finish() == TEXT
    save_vocabulary(vocabulary, tmp_path / "v.json")
    assert isinstance(load_vocabulary(tmp_path / "v.json"), Bytes)


def test_bytes_that_are_no_text_are_units_all_the_same():
    assert Bytes().encode_strict("a\udcff").tolist() == [97, 255]  # as a command line hands over byte 255
    assert Bytes().decode([97, 255, 98]) == "a\ufffdb"


def test_characters_are_counted_by_their_first_bytes():
    assert characters(np.frombuffer(TEXT.encode(), np.uint8)) == len(TEXT)


def test_nothing_can_be_left_out():
    for options in ({"min_count": 2}, {"size": 255}):
        with pytest.raises(BadInput, match="leave out --min-count and --vocabulary-size"):
            build_vocabulary("bytes", [TEXT], **options)
