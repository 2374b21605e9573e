"""Sentences in columns: what is a token, what is not, and files that come back with one column changed."""

import gzip
import os
from pathlib import Path

import pytest

from recurra.data.sentences import find_layout, read_sentences
from recurra.errors import BadInput

CONLLU = """\
# sent_id = 1
# text = Don't go.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVBP\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\tSpaceAfter=No
3.1\tleft\tleave\tVERB\tVBN\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_

# text = Why
1\tWhy\twhy\tADV\tWRB\t_\t0\troot\t_\t_
"""

CHUNKS = "Confidence NN B-NP\nin IN B-PP\nthe DT B-NP\n\npound  NN I-NP\n. . O"


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def read(path: Path, **columns):
    columns = {"word": None, "label": None, "inputs": None} | columns
    return list(read_sentences([path], find_layout(path, **columns)))


@pytest.mark.parametrize("name", ["a.conllu", "a.conllu.gz"])
def test_words_of_conllu_without_ranges_and_empty_nodes(tmp_path, name):
    first, second = read(file(tmp_path, name, CONLLU))
    assert [cells[1] for cells in first.cells] == ["Do", "n't", "go", "."]
    assert [cells[3] for cells in second.cells] == ["ADV"]
    assert [first.line(token) for token in range(4)] == [4, 5, 6, 8]
    assert second.line(0) == 11 and second.source.endswith(name)


def test_a_column_is_changed_and_all_else_stays(tmp_path):
    first, second = read(file(tmp_path, "a.conllu", CONLLU))
    lines = first.with_column(3, ["A", "B", "C", "D"]) + [*second.with_column(3, ["E"]), ""]
    changed = CONLLU
    for before, after in (("AUX", "A"), ("PART", "B"), ("go\tVERB", "go\tC"), ("PUNCT", "D"), ("ADV", "E")):
        changed = changed.replace(f"\t{before}\t", f"\t{after}\t", 1)
    assert "\n".join(lines) == changed


def test_plain_columns_keep_their_blanks(tmp_path):
    first, second = read(file(tmp_path, "a.txt", CHUNKS))
    assert first.cells[1] == ("in", "IN", "B-PP")
    assert second.with_column(2, ["X", "Y"]) == ["pound  NN X", ". . Y"]
    assert (second.number, second.tokens) == (5, (0, 1))


def test_a_line_may_begin_with_a_blank_and_a_cell_hold_another_kind_of_blank(tmp_path):
    (only,) = read(file(tmp_path, "a.txt", " dog  B-X\n10\N{NO-BREAK SPACE}km\tO\t \n"))
    assert only.cells == (("dog", "B-X"), ("10\N{NO-BREAK SPACE}km", "O"))
    assert only.with_column(1, ["Y", "Z"]) == [" dog  Y", "10\N{NO-BREAK SPACE}km\tZ\t "]
    assert only.with_column(0, ["cat", "9"]) == [" cat  B-X", "9\tO\t "]
    assert only.with_column(2, ["Y", "Z"]) == [" dog  B-X Y", "10\N{NO-BREAK SPACE}km\tO Z\t "]


def test_a_column_that_is_missing_is_added(tmp_path):
    (first, *_) = read(file(tmp_path, "a.txt", CHUNKS))
    assert first.with_column(3, ["X", "Y", "Z"])[0] == "Confidence NN B-NP X"
    (only,) = read(file(tmp_path, "b.tsv", "a\tB\r\n"))
    assert only.with_column(2, ["X"]) == ["a\tB\tX\r"]


def test_cells_of_tabs_may_hold_blanks(tmp_path):
    (sentence,) = read(file(tmp_path, "a.tsv", "New York\tB-loc\r\n:)\tO\r\n"))
    assert sentence.cells == (("New York", "B-loc"), (":)", "O"))


def test_documents_begin_without_a_token(tmp_path):
    text = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\n\n \nrejects VBZ B-VP O\n"
    found = read(file(tmp_path, "a.txt", text))
    assert [sentence.cells[0][0] for sentence in found if sentence.cells] == ["EU", "rejects"]
    assert "".join(f"{line}\n" for sentence in found for line in sentence.lines) == text


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("a.conllu", "1\ta\n", "line 1 has 2 columns, CoNLL-U has 10 parted by tabs"),
        ("a.conllu", CONLLU.replace("\n2\t", "\n5\t"), "line 5: the id is 5 where 2 was to come"),
        ("a.conllu", CONLLU.replace("1-2", "2-3"), "line 3: the words 2-3 do not begin with the next one, 1"),
        ("a.conllu", CONLLU.replace("\n3.1\t", "\n3,1\t"), "line 7: '3,1' is no id of CoNLL-U"),
        ("a.txt", "a B\nc\n", "line 2 has 1 columns where the lines before have 2"),
    ],
)
def test_broken_lines_are_named(tmp_path, name, text, wrong):
    with pytest.raises(BadInput, match=f"{name}: {wrong}"):
        read(file(tmp_path, name, text))


@pytest.mark.parametrize(
    ("name", "text", "columns", "wrong"),
    [
        ("a.conllu", CONLLU, {"label": "upso"}, "unknown column 'upso'; did you mean 'upos'"),
        ("a.conllu", CONLLU, {"label": "11"}, "a.conllu: has no column '11'; its columns are id, form"),
        ("a.txt", CHUNKS, {"label": "4"}, "a.txt: has no column '4'; its columns are the numbers 1 to 3"),
        ("a.txt", CHUNKS, {"inputs": "2,3"}, "has 3 columns, and of these the words, --inputs and the labels must be"),
        ("a.txt", "-DOCSTART- O\n", {}, "a.txt: has no tokens"),
        ("a.txt", "one\n", {}, "has 1 columns, and of these"),
    ],
)
def test_columns_that_are_not_there(tmp_path, name, text, columns, wrong):
    with pytest.raises(BadInput, match=wrong):
        read(file(tmp_path, name, text), **columns)


def test_files_unlike_those_trained_on(tmp_path):
    layout = find_layout(file(tmp_path, "a.txt", CHUNKS), None, None, "2")
    other = file(tmp_path, "b.conllu", CONLLU)
    with pytest.raises(BadInput, match="b.conllu: by its name this is conllu; it was expected to be columns"):
        list(read_sentences([other], layout))
    narrow = file(tmp_path, "c.txt", "a\nb\n")
    with pytest.raises(BadInput, match="c.txt: line 1: has 1 columns and no column 2, which is read"):
        list(read_sentences([narrow], layout, labels=frozenset()))
    with pytest.raises(BadInput, match="c.txt: line 1: has 1 columns and no column 2, which is read"):
        list(read_sentences([narrow], layout))
    far = find_layout(tmp_path / "a.txt", None, None, None)
    with pytest.raises(BadInput, match="for the labels to become column 3 there must be 2"):
        list(read_sentences([narrow], far, labels=frozenset()))


SIZES = {
    "ud_english_ewt/en_ewt-ud-train.conllu.gz": (12_544, 204_577),
    "conll2000/train.txt.gz": (8_936, 211_727),
    "wnut17/test.conll.gz": (1_287, 23_394),
}


@pytest.mark.parametrize("name", SIZES)
def test_public_sets_have_the_sizes_that_they_state(name):
    path = Path(os.environ.get("RECURRA_DATA", "/nowhere")) / name
    if not path.exists():
        pytest.skip(f"RECURRA_DATA holds no {name}")
    found = [sentence for sentence in read(path) if sentence.cells]
    assert (len(found), sum(len(sentence.tokens) for sentence in found)) == SIZES[name]
