"""Lines of text files in any encoding."""

import codecs
import gzip

import pytest

from recurra.data.lines import json_of, open_text, read_lines
from recurra.errors import BadInput


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252"])
def test_lines_end_in_lf_or_cr_lf_only(tmp_path, pack, encoding):
    path = tmp_path / "a"
    path.write_bytes(pack("é\r\nb\rc\x0bd\n\nlast".encode(encoding)))
    assert list(read_lines(path, encoding)) == [(1, "é"), (2, "b\rc\x0bd"), (3, ""), (4, "last")]


def test_byte_order_mark_is_dropped(tmp_path):
    (tmp_path / "a").write_bytes(codecs.BOM_UTF8 + "x\ufeffy".encode())
    for name in ("utf-8", "UTF8", "utf-8-sig"):
        assert list(read_lines(tmp_path / "a", name)) == [(1, "x\ufeffy")]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("before", [0, 1, 5000])
def test_bytes_of_another_encoding_are_named_by_their_line(tmp_path, pack, before):
    path = tmp_path / "a"
    path.write_bytes(pack("né\n".encode() * before + b"ok \xe9t\xe9\nmore\n"))
    with pytest.raises(BadInput) as caught, open_text(path, "utf-8") as file:
        file.read()
    found = f"{path}: line {before + 1}: byte 0xe9 is not of utf-8"
    assert str(caught.value) == f"{found}; say which encoding it is (--encoding latin-1 ?), or pass it through iconv"


def test_unknown_encodings_and_binary_files_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"a\0b")
    for name in ("utf9", "rot13", "hex", "undefined"):  # all but the first are Python's, and none of text
        with pytest.raises(BadInput, match=f"unknown encoding '{name}'"):
            list(read_lines(tmp_path / "a", name))
    with pytest.raises(BadInput, match=r"looks binary \(NUL at byte 1\)"):
        list(read_lines(tmp_path / "a", "utf-8"))


def test_half_a_pair_of_surrogates_is_no_json():
    assert json_of(r'"\ud83d\ude00 \\ud83d"') == "\N{GRINNING FACE} \\ud83d"
    for text in (r'"hi \ud83d"', r'["\uDE00"]', "[" * 100_000):
        with pytest.raises(ValueError):
            json_of(text)
