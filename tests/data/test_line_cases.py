"""A label, blanks, a text: one case a line."""

import os
from collections import Counter
from pathlib import Path

import pytest

from recurra.data.case import Case, CaseColumns
from recurra.data.cases import read_cases
from recurra.errors import BadInput


def test_the_first_word_is_the_label(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0 How far is it ?\nNUM\ta  b \nx,y,x z\n")
    first, second, third = read_cases([path], CaseColumns(separator=","))
    assert first == Case("How far is it ?", ("0",), f"{path}: line 1", {})
    assert (second.x, second.labels) == ("a  b ", ("NUM",))
    assert (third.x, third.labels) == ("z", ("x", "y"))


def test_without_labels_all_of_a_line_is_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0 How far is it ?\n")
    assert next(read_cases([path], CaseColumns(), labelled=False)) == Case(
        "0 How far is it ?", (), f"{path}: line 1", {}
    )


@pytest.mark.parametrize(("text", "labelled"), [("1 a\n2\n", True), ("1 a\n\n", True), ("1 a\n \n", False)])
def test_lines_without_a_text_are_refused(tmp_path, text, labelled):
    (tmp_path / "a").write_text(text)
    with pytest.raises(BadInput, match="a: line 2: the text is empty; write one or remove the case"):
        list(read_cases([tmp_path / "a"], CaseColumns(), labelled=labelled))


SETS = {
    "trec/train.txt.gz": (5452, 6),
    "trec/test.txt.gz": (500, 6),
    "sst/stsa.binary.train.gz": (6920, 2),
    "sst/stsa.fine.train.gz": (8544, 5),
    "sst/stsa.fine.test.gz": (2210, 5),
}


@pytest.mark.parametrize("name", SETS)
def test_public_sets_have_the_sizes_that_they_state(name):
    path = Path(os.environ.get("RECURRA_DATA", "/nowhere")) / name
    if not path.exists():
        pytest.skip(f"RECURRA_DATA holds no {name}")
    labels = Counter(case.labels for case in read_cases([path], CaseColumns(encoding="latin-1")))
    assert (labels.total(), len(labels)) == SETS[name]
