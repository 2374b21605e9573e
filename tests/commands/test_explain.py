"""`recurra explain`: what it prints, as text and as JSON, and what it refuses."""

import json
from pathlib import Path

import pytest

from recurra.cells import CELLS
from recurra.layers import Recurrent
from recurra.recurrence.parse import parse
from tests.commands.test_cells import OWN


def test_a_cell_of_the_library(recurra):
    code, out, err = recurra("explain", "gru", "--input-size", "3", "--hidden-size", "5")
    assert (code, out, err) == (0, Recurrent(CELLS["gru"](3, 5)).explain().text + "\n", "")


def test_sizes_are_128_unless_told(recurra):
    _, out, _ = recurra("explain", "elman")
    assert "(128 × 128)" in out


def test_programs_are_printed_as_they_can_be_read_back(recurra):
    code, out, _ = recurra("explain", "elman", "--input-size", "3", "--hidden-size", "5", "--program")
    text, step, adjoint = out.rstrip("\n").split("\n\n")
    assert code == 0 and text == Recurrent(CELLS["elman"](3, 5)).explain().text
    assert [step.splitlines()[0], adjoint.splitlines()[0]] == ["program", "adjoint"]
    program, backwards = (parse(each.partition("\n")[2]) for each in (step, adjoint))
    assert program.sequences == (3,) and program.states == (5,) and backwards.backwards


def test_json(recurra, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    words = ("--json", "--input-size", "3", "--hidden-size", "5")
    found = json.loads(recurra("explain", "own.py:Own", *words, "--program")[1])
    assert {**found, "text": "", "program": "", "adjoint": ""} == {
        "cell": "own.py:Own",
        "input_size": 3,
        "hidden_size": 5,
        "path": "cpu",
        "reason": None,
        "text": "",
        "program": "",
        "adjoint": "",
    }
    assert parse(found["program"]).states == (5,) and parse(found["adjoint"]).backwards
    stopped = json.loads(recurra("explain", "own.py:Branching", *words, "--program")[1])
    assert stopped["path"] == "reference" and "a Python value or branch" in stopped["reason"]
    assert "own.py:" in stopped["text"] and stopped.keys() == found.keys() - {"program", "adjoint"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lstn",), "did you mean 'lstm'?"),
        (("none.py:Own",), "none.py: no such file"),
        (("own.py:Ow",), "did you mean 'Own'?"),
        (("own.py:Setting",), "must be a subclass of torch.nn.Module"),
        (("own.py:Short",), "Short(input_size, hidden_size) must build the cell"),
        (("own.py:Narrowing",), "cell 'Narrowing' of 128 inputs and 128 units"),
        (("lstm", "--hidden-size", "0"), "--hidden-size"),
        ((), "CELL"),
    ],
)
def test_what_is_refused(refused, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    assert said in refused("explain", *words)


def test_a_run(recurra):
    stored = Path(__file__).parent.parent / "tasks" / "stored" / "run"
    code, out, err = recurra("explain", stored)
    name, *text = out.splitlines()
    assert code == 0 and name.startswith("layers.layers.0") and text[0].endswith("runs as one compiled loop on the CPU")
    (part,) = json.loads(recurra("explain", stored, "--json")[1])["parts"]
    assert part == {"name": name, "text": "\n".join(text)}
