""".ts files: by hand, and the public ones beside what their headers and their page state."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from recurra.data.case import CaseColumns
from recurra.data.cases import read_cases
from recurra.errors import BadInput

HEADER = "# made by hand\n@problemName Two\n@timeStamps false\n@univariate false\n@dimensions 2\n@equalLength false\n"
LABELLED = HEADER + "@classLabel true up down\n@DATA\n"


def read(folder, text, *, labelled=True):
    (folder / "a.ts").write_text(text)
    return list(read_cases([folder / "a.ts"], CaseColumns(), labelled=labelled))


def test_dimensions_are_the_columns_of_a_series(tmp_path):
    first, second = read(tmp_path, LABELLED + "1,2.5,-3E1:4,5,6:up\n\n7:8: down \n")
    assert first.x.dtype == np.float32 and first.x.tolist() == [[1, 4], [2.5, 5], [-30, 6]]
    assert second.x.tolist() == [[7, 8]]
    assert [first.labels, second.labels] == [("up",), ("down",)]
    assert [first.place, second.place] == [f"{tmp_path / 'a.ts'}: line {line}" for line in (9, 11)]


def test_without_labels(tmp_path):
    (case,) = read(tmp_path, HEADER + "@classLabel false\n@data\n1,2:3,4\n", labelled=False)
    assert (case.x.tolist(), case.labels) == ([[1, 3], [2, 4]], ())
    (case,) = read(tmp_path, LABELLED + "1,2:3,4:?\n", labelled=False)
    assert case.labels == ()


def test_dimensions_that_no_header_states_are_those_of_the_first_case(tmp_path):
    text = "@classLabel true a\n@data\n1:2:3:a\n"
    assert read(tmp_path, text)[0].x.shape == (1, 3)
    with pytest.raises(BadInput, match="line 4: 2 dimensions; 3 are to stand here, parted by colons, then a label"):
        read(tmp_path, text + "1:2:a\n")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (LABELLED + "1,2:3,NaN:up\n", r"line 9, dimension 2, value 2 is missing \('NaN'\); fill it or remove the case"),
        (LABELLED + "?,2:3,4:up\n", r"line 9, dimension 1, value 1 is missing \('\?'\); fill it or remove the case"),
        (LABELLED + "1,,2:3,4,5:up\n", r"line 9, dimension 1, value 2 is missing \(''\)"),
        (LABELLED + "1,2:3,x4:up\n", "line 9, dimension 2, value 2: 'x4' is no finite number of 32 bits"),
        (LABELLED + "1,1e39:3,4:up\n", "line 9, dimension 1, value 2: '1e39' is no finite number of 32 bits"),
        (LABELLED + "1,inf:3,4:up\n", "line 9, dimension 1, value 2: 'inf' is no finite number of 32 bits"),
        (LABELLED + "1,2:3:up\n", "line 9, dimension 2 has 1 steps, the first has 2; mend or remove the case"),
        (LABELLED + "1,2::up\n", "line 9, dimension 2: an empty series; remove the case"),
        (LABELLED + "1,2:up\n", "line 9: 1 dimensions; 2 are to stand here, parted by colons, then a label"),
        (LABELLED + "1,2:3,4:dwn\n", "line 9: unknown class 'dwn'; did you mean 'down'"),
        (LABELLED + "1,2:3,4\n", "line 9: unknown class '3,4'; known: down, up"),
        (LABELLED + "1,2:3,4:\n", "line 9: the label is missing; write one after the last colon"),
        (LABELLED, "holds no cases"),
        (HEADER + "@classLabel true up\n1:2:up\n", "line 8: a case before @data; write @data on a line before"),
        (HEADER, "no @data line; write one between the header and the cases"),
        (HEADER + "@data\n1:2\n", r"has no class labels \(@classLabel true and the classes\)"),
        (HEADER + "@targetLabel true\n@data\n1:2:0.5\n", "@targetLabel gives numbers to regress on"),
        ("@timestamps true\n@data\n(0,1):a\n", "has time stamps, which are not read"),
        ("@dimensions two\n@classLabel true a\n@data\n1:a\n", "@dimensions two is no count"),
    ],
)
def test_broken_cases_are_named(tmp_path, text, wrong):
    with pytest.raises(BadInput, match=f"a.ts: {wrong}") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


STATED = {  # cases of TRAIN and TEST, dimensions, shortest, longest, classes: the page of the sets
    "BasicMotions": (40, 40, 6, 100, 100, 4),
    "GunPoint": (50, 150, 1, 150, 150, 2),
    "ItalyPowerDemand": (67, 1029, 1, 24, 24, 2),
    "JapaneseVowels": (270, 370, 12, 7, 29, 9),
}


@pytest.mark.parametrize("name", STATED)
def test_public_sets_have_the_sizes_that_they_state(name):
    folder = Path(os.environ.get("RECURRA_DATA", "/nowhere"), "ucr_uea")
    paths = [folder / f"{name}_{part}.ts.gz" for part in ("TRAIN", "TEST")]
    if not all(path.exists() for path in paths):
        pytest.skip(f"RECURRA_DATA holds no {name}")
    train, test = (list(read_cases([path], CaseColumns())) for path in paths)
    lengths = [len(case.x) for case in train + test]
    (features,) = {case.x.shape[1] for case in train + test}
    classes = {case.labels for case in train + test}
    found = (len(train), len(test), features, min(lengths), max(lengths), len(classes))
    assert found == STATED[name]
    last = gzip.decompress(paths[1].read_bytes()).decode().strip().rsplit("\n", 1)[1].split(":")
    assert test[-1].labels == (last[-1],)
    assert test[-1].x[-1].tolist() == [np.float32(float(piece.split(",")[-1])) for piece in last[:-1]]
