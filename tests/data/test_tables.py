"""Tables beside what the standard library wrote into them."""

import csv
import gzip
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.case import CaseColumns
from recurra.data.cases import read_cases
from recurra.errors import BadInput

REVIEWS = CaseColumns("review", "stars")
CELLS = st.text(st.sampled_from("ab ,;\"'\t\r\nüé"), min_size=1, max_size=8)
TEXTS = CELLS.map(lambda text: "x" + text)
LABELS = CELLS.filter(str.strip)


def read(folder, name, text, columns=REVIEWS, *, labelled=True):
    data = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return list(read_cases([folder / name], columns, labelled=labelled))


def written(rows, **options):
    """CSV as the standard library writes it, and the line that each row begins at."""
    text, lines = io.StringIO(newline=""), []
    writer = csv.writer(text, **options)
    for row in rows:
        lines.append(len(re.findall("\r\n|\r|\n", text.getvalue())) + 1)
        writer.writerow(row)
    return text.getvalue(), lines


@given(st.lists(st.tuples(TEXTS, LABELS, CELLS), min_size=1, max_size=6), st.sampled_from([",", ";"]))
def test_csv_is_read_as_it_was_written(tmp_path_factory, rows, delimiter):
    names = ["review", "stars", "it's"]
    text, lines = written([names, *rows], delimiter=delimiter)
    folder = tmp_path_factory.getbasetemp()
    cases = read(folder, "a.csv", text)
    assert [case.fields for case in cases] == [dict(zip(names, row, strict=True)) for row in rows]
    assert [(case.x, case.labels) for case in cases] == [(row[0], (row[1].strip(),)) for row in rows]
    assert [case.place for case in cases] == [f"{folder / 'a.csv'}: line {line}" for line in lines[1:]]


@given(st.lists(st.tuples(TEXTS, LABELS), min_size=1, max_size=6))
def test_json_lines_are_read_as_they_were_written(tmp_path_factory, rows):
    objects = [{"review": text, "stars": label, "n": n, "none": None} for n, (text, label) in enumerate(rows)]
    text = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in objects)
    cases = read(tmp_path_factory.getbasetemp(), "a.jsonl.gz", text)
    assert [(case.x, case.labels) for case in cases] == [(text, (label.strip(),)) for text, label in rows]
    assert [case.fields for case in cases] == [row | {"n": str(row["n"]), "none": ""} for row in objects]
    assert [case.place.split()[-1] for case in cases] == [str(2 * n + 1) for n in range(len(rows))]


def test_tsv_has_no_quotes(tmp_path):
    (case,) = read(tmp_path, "a.tsv", 'review\tstars\n"Well", he said, 5" tall\t4\r\n')
    assert (case.x, case.labels) == ('"Well", he said, 5" tall', ("4",))


def test_columns_are_called_text_and_label_where_none_are_named(tmp_path):
    (case,) = read(tmp_path, "a.csv", "\ufefflabel,text\n1,a\n", CaseColumns())
    assert (case.x, case.labels) == ("a", ("1",))


def test_empty_lines_are_passed_over(tmp_path):
    cases = read(tmp_path, "a.csv", "\nreview,stars\n\na,1\n\n\nb,2\n")
    assert [(case.x, case.place.split()[-1]) for case in cases] == [("a", "4"), ("b", "7")]


def test_several_labels(tmp_path):
    columns = CaseColumns("review", "stars", separator="|")
    cases = read(tmp_path, "a.csv", "review,stars\na,x| y |x\nb,\nc,|\n", columns)
    assert [case.labels for case in cases] == [("x", "y"), (), ()]
    cases = read(tmp_path, "a.jsonl", '{"review":"a","stars":["x, y",2,"2 "," x"]}\n{"review":"b","stars":[]}')
    assert [case.labels for case in cases] == [("x, y", "2", "x"), ()]


def test_values_of_json_as_text(tmp_path):
    values = {"review": "a", "stars": True, "x": 1.5, "y": [1, "é"], "z": {"a": None}, "n": float("nan")}
    (case,) = read(tmp_path, "a.ndjson", json.dumps(values))
    assert case.labels == ("true",)
    assert case.fields == {"review": "a", "stars": "true", "x": "1.5", "y": '[1, "é"]', "z": '{"a": null}', "n": ""}


def test_pairs_of_surrogates_in_json_are_characters(tmp_path):
    (case,) = read(tmp_path, "a.jsonl", '{"review":"\\ud83d\\uDE00","stars":1}')
    assert case.x == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "review\na\n"), ("a.csv", "review,stars\na,\n"), ("a.jsonl", '{"review":"a"}')]
)
def test_labels_may_be_missing_where_none_are_needed(tmp_path, name, text):
    (case,) = read(tmp_path, name, text, labelled=False)
    assert (case.x, case.labels) == ("a", ())


HEADER = "review,stars\n"


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("a.csv", "revew,stars\na,1\n", "line 1: unknown column 'review'; did you mean 'revew'?; name it"),
        ("a.csv", "review,x\na,1\n", "line 1: unknown column 'stars'; known: review, x; name it by --label"),
        ("a.csv", "review,review\n", "line 1: the column 'review' is there twice; rename one"),
        ("a.csv", HEADER + '"a\nb",1\na,1,2\n', "line 4: 3 cells where the header has 2; mend the row"),
        ("a.csv", HEADER + "a\n", "line 2: 1 cells where the header has 2; mend the row"),
        ("a.csv", HEADER + 'a,1\n"b" c,1\n', "line 3: ',' expected after '\"' in the row that begins"),
        ("a.csv", HEADER + '"b\n\nc,1\n', "line 2: unexpected end of data in the row that begins"),
        ("a.csv", HEADER + 'a,1\n"\n ",1\n', "line 3: the text is empty; write one or remove the case"),
        ("a.csv", HEADER + "a, \n", "line 2: the label is missing; write one or remove the case"),
        ("a.csv", HEADER.encode() + b"a,1\n\xe9,2\n", "line 3: byte 0xe9 is not of utf-8; say which encoding it is"),
        ("a.csv", HEADER + f"a,1\n{'b' * (1 << 24)}c,1\n", r"line 3: field larger than field limit \(16777216\)"),
        ("a.csv", HEADER, "holds no cases; give a file that has some"),
        ("a.tsv", "review\tstars\na\n", "line 2: 1 cells where the header has 2; mend the row"),
        ("a.jsonl", '{"review":"a","stars":1}\n[]\n', r"line 2 is no object of JSON but \[\]; write one"),
        ("a.json", '[\n{"review":"a","stars":1}\n]', r"line 1 is no JSON \(Expecting value.*\); write one"),
        ("a.jsonl", '{"review":"a","star":1}', "line 1: unknown column 'stars'; did you mean 'star'?; name it"),
        ("a.jsonl", '{"review":"a","stars":null}', "line 1: the label is missing; write one or remove the case"),
        ("a.jsonl", '{"review":"\\ud83d","stars":1}', r"line 1 is no JSON \('utf-8' codec can't encode .*\)"),
        ("a.jsonl", "[" * 99999, r"line 1 is no JSON \(nested too deeply\); write one"),
        ("a.jsonl", '{"review":null,"stars":1}', "line 1: the text is empty; write one or remove the case"),
        ("a.jsonl", '{"review":["a"],"stars":1}', r"""line 1: 'review' holds \["a"\], no text; name another"""),
    ],
)  # fmt: skip
def test_broken_rows_are_named(tmp_path, name, text, wrong):
    with pytest.raises(BadInput, match=f"{name}: {wrong}".replace("?;", r"\?;")) as caught:
        read(tmp_path, name, text)
    assert "\n" not in str(caught.value)


def test_rows_before_a_broken_one_are_given(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "a,1\nb\n")
    cases = read_cases([path], REVIEWS)
    assert next(cases).x == "a"
    with pytest.raises(BadInput, match="line 3"):
        next(cases)
