"""Pairs from files, and what is wrong with those that hold none."""

import gzip
import json

import pytest

from recurra.data.parallel import Pair, PairColumns, read_pairs, read_texts
from recurra.errors import BadInput

PLAIN = PairColumns()


def write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def sides(paths, columns=PLAIN):
    return [(pair.source, pair.target) for pair in read_pairs(paths, columns)]


def test_two_files_go_line_by_line(tmp_path):
    source = write(tmp_path / "a.en", "a house\n\nthe cafe\u0301\r\n")
    target = write(tmp_path / "a.de.gz", "ein Haus\nleer\ndas Café")
    found = list(read_pairs([source, target], PLAIN))
    assert found[1] == Pair("", "leer", f"{source}: line 2")
    assert found[2] == Pair("the café", "das Café", f"{source}: line 3")  # composed, and no carriage return


def test_only_line_feeds_end_a_line(tmp_path):
    odd = "one\u2028still\x0bone\x85line\n"
    assert len(sides([write(tmp_path / "a", odd), write(tmp_path / "b", "eine\n")])) == 1


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("t.tsv", "a\tb\tmore\nc\td\n", PLAIN),
        ("t.tsv", "x\tde\ten\n1\tb\ta\n2\td\tc\n", PairColumns("en", "de")),
        ("t.csv", 'source,target\na,b\nc,"d"\n', PLAIN),
        ("t.jsonl", "".join(json.dumps({"en": x, "de": y}) + "\n" for x, y in ("ab", "cd")), PairColumns("en", "de")),
    ],
)
def test_tables(tmp_path, name, text, columns):
    path = write(tmp_path / name, text)
    assert sides([path], columns) == [("a", "b"), ("c", "d")]
    assert [text for text, _ in read_texts(path, columns)] == ["a", "c"]


def test_texts_without_a_tab_can_be_translated(tmp_path):
    path = write(tmp_path / "t.tsv", "a\tb\nc\n")
    assert list(read_texts(path, PLAIN)) == [("a", f"{path}: line 1"), ("c", f"{path}: line 2")]


@pytest.mark.parametrize(("left", "right"), [(3, 2), (2, 4)])
def test_files_of_unequal_length_are_told_apart(tmp_path, left, right):
    paths = [write(tmp_path / name, "x\n" * count) for name, count in (("a", left), ("b", right))]
    shorter, longer = sorted(paths, key=lambda path: path.stat().st_size)
    with pytest.raises(BadInput) as error:
        sides(paths)
    message = (
        f"{shorter}: ends after line {min(left, right)}, {longer} has {max(left, right)}; each line needs its other"
    )
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "data", "columns", "message"),
    [
        ("t.tsv", b"a\tb\nno tab\n", PLAIN, r"line 2 has no tab; write a text, a tab and what it becomes"),
        ("t.csv", b"source,goal\na,b\n", PLAIN, r"unknown column 'target'; known: goal, source; name it by --target"),
        ("t.jsonl", b'{"source": "a", "target": 3}\n', PLAIN, r"line 1: 'target' holds 3, no text"),
        ("t.tsv", b"a\tb\n\xe4\tc\n", PLAIN, r"line 2: byte 0xe4 is not of utf-8; say which encoding it is"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, data, columns, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=message):
        sides([tmp_path / name], columns)


def test_a_text_alone_is_no_pair(tmp_path):
    path = write(tmp_path / "a.en", "x\n")
    with pytest.raises(BadInput, match="1 file where two texts or a table are needed"):
        sides([path])
    with pytest.raises(BadInput, match="3 files where two texts"):
        sides([path, path, path])
