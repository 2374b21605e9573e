"""Parquet beside the table that pyarrow wrote."""

import datetime
import sys

import pytest

from recurra.data.case import CaseColumns
from recurra.data.cases import read_cases
from recurra.errors import BadInput

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

REVIEWS = CaseColumns("review", "stars")


def test_rows_are_those_of_the_table(tmp_path):
    columns = {
        "stars": pyarrow.array([str(n % 5) for n in range(3000)]).dictionary_encode(),
        "review": [f"text é {n}" for n in range(3000)],
        "n": list(range(3000)),
    }
    table = pyarrow.table(columns)
    path = tmp_path / "no-suffix"
    parquet.write_table(table, path, row_group_size=700)
    cases = list(read_cases([path], REVIEWS))
    rows = table.to_pylist()
    assert [(case.x, case.labels) for case in cases] == [(row["review"], (row["stars"],)) for row in rows]
    assert [case.fields for case in cases] == [{name: str(value) for name, value in row.items()} for row in rows]
    assert [case.place for case in cases] == [f"{path}: row {n}" for n in range(1, 3001)]


def test_values_as_text_without_pandas(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    time = datetime.datetime(2026, 1, 2, 3, 4, 5)
    values = {
        "review": pyarrow.array(["a"]),
        "stars": pyarrow.array([["x", "y"]]),
        "time": pyarrow.array([time], pyarrow.timestamp("ns")),
        "none": pyarrow.array([None], pyarrow.float64()),
    }
    parquet.write_table(pyarrow.table(values), tmp_path / "a.parquet")
    (case,) = read_cases([tmp_path / "a.parquet"], REVIEWS)
    assert case.labels == ("x", "y")
    times = {"time": "2026-01-02 03:04:05.000000000", "none": ""}
    assert case.fields == {"review": "a", "stars": '["x", "y"]'} | times


def write(path, **columns):
    parquet.write_table(pyarrow.table(columns), path)


def test_broken_rows_are_named(tmp_path):
    path = tmp_path / "a.parquet"
    for columns, wrong in [
        ({"review": ["a", None], "stars": [1, 2]}, "row 2: the text is empty"),
        ({"review": ["a", "b"], "stars": [1, None]}, "row 2: the label is missing"),
        ({"review": ["a"], "star": [1]}, r"unknown column 'stars'; did you mean 'star'\?"),
        ({"review": [b"a"], "stars": [1]}, "row 1: 'review' holds b'a', no text; name another by --text"),
        ({"review": [], "stars": []}, "holds no cases"),
    ]:
        write(path, **columns)
        with pytest.raises(BadInput, match=f"a.parquet: {wrong}"):
            list(read_cases([path], REVIEWS))


def test_text_that_is_not_utf8(tmp_path):
    text = pyarrow.StringArray.from_buffers(1, *pyarrow.array([b"\xe9t\xe9"]).buffers()[1:])
    write(tmp_path / "a.parquet", review=text, stars=[1])
    with pytest.raises(BadInput, match="a.parquet: a text in the 1024 rows after row 0 is not UTF-8"):
        list(read_cases([tmp_path / "a.parquet"], REVIEWS))


def test_damaged_files(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, review=["a"], stars=[1])
    whole = path.read_bytes()
    for part in (whole[:-9], b"PAR1", b"text"):
        path.write_bytes(part)
        with pytest.raises(
            BadInput, match=r"a.parquet: cannot be read as Parquet \(.*\); copy or write it again"
        ) as found:
            list(read_cases([path], REVIEWS))
        assert "\n" not in str(found.value)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", review=["a"], stars=[1])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match=r"need the pyarrow package: pip install 'recurra\[labelling\]'"):
        list(read_cases([tmp_path / "a.parquet"], REVIEWS))
