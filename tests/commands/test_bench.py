"""`recurra bench`: what it writes and prints, its exit codes, and what it refuses."""

import json

import pytest
import torch

from recurra.bench.roofline import Rates, Roofline
from recurra.bench.shapes import Shape
from tests.commands.test_cells import OWN
from tests.processor import multiplies_bfloat16


@pytest.fixture(autouse=True)
def known_roofline(monkeypatch):
    """The measured one takes seconds, and has a test of its own."""
    roofline = Roofline((Rates(1, {"float32": 1e12, "bfloat16": 1e13}, {1: 1e12}, 0.0),), 0.0)
    monkeypatch.setattr("recurra.bench.roofline.measure_roofline", lambda threads, precisions: roofline)


QUICK = ("--threads", "1", "--pairs", "2")
SMALL = (*QUICK, "--shapes", "T3B2H4", "--peers", "torch.nn", "--no-rest")


def test_results_are_printed_written_and_drawn(recurra, tmp_path):
    path, picture = tmp_path / "r.json", tmp_path / "r.png"
    code, out, err = recurra("bench", *SMALL, "--json", path, "--chart", picture)
    document = json.loads(path.read_text())
    assert code == 0 and picture.read_bytes().startswith(b"\x89PNG")
    assert document["threads"] == 1 and document["pairs"] == 2 and document["machine"]["torch"] == torch.__version__
    keys = [(entry["cell"], entry["mode"]) for entry in document["entries"]]
    assert keys == [(cell, mode) for cell in ("lstm", "gru", "elman") for mode in ("inference", "training")]
    for entry in document["entries"]:
        assert entry["contenders"].keys() == {"recurra", "torch.nn"} and entry["fastest_peer"] == "torch.nn"
        assert all(found["seconds"]["count"] == 2 for found in entry["contenders"].values())
    rows = [line.split("\t") for line in out.splitlines()[1:13]]
    assert [row[4] for row in rows] == ["recurra", "torch.nn"] * 6
    assert "recurra over torch.nn, float32, 1 thread, geometric mean: all " in out and str(picture) in out
    assert err.splitlines()[-1] == "6/6 elman T3B2H4 training, float32, 1 thread"


@multiplies_bfloat16
def test_both_precisions_threads_layers_and_directions(recurra, tmp_path):
    path, picture = tmp_path / "r.json", tmp_path / "r.png"
    words = ("--precision", "both", "--layers", "1,2", "--bidirectional", "--inference", "--json", path)
    code, out, _ = recurra("bench", *SMALL, *words, "--chart", picture)
    entries = json.loads(path.read_text())["entries"]
    assert code == 0 and picture.read_bytes().startswith(b"\x89PNG")
    ways = [(entry["precision"], entry["layers"], entry["bidirectional"]) for entry in entries[::3]]
    kinds = ("float32", "bfloat16")
    assert ways == [(kind, *way) for way in ((1, False), (2, False), (1, True)) for kind in kinds]
    assert all(entry["contenders"].keys() == {"recurra", "torch.nn"} for entry in entries)
    assert "recurra over torch.nn, bfloat16, 1 thread, bidirectional, geometric mean: all " in out
    assert recurra("bench", *SMALL, "--check", path, "--tolerance", "0.99", "--precision", "bfloat16")[0] == 0


def test_the_grid_is_drawn_for_every_precision(recurra, tmp_path, monkeypatch):
    monkeypatch.setattr("recurra.bench.shapes.GRID", (Shape(3, 2, 4),))
    words = ("--shapes", "grid", "--peers", "torch.nn", "--precision", "both", "--chart", tmp_path / "g.png")
    assert recurra("bench", *QUICK, *words)[0] == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["g_bfloat16.png", "g_float32.png"]


def test_only_one_of_training_and_inference_and_going_on(recurra, tmp_path):
    path = tmp_path / "r.json"
    assert recurra("bench", *SMALL, "--json", path, "--inference")[0] == 0
    before = json.loads(path.read_text())["entries"]
    assert [entry["mode"] for entry in before] == ["inference"] * 3
    code, _, err = recurra("bench", *SMALL, "--json", path, "--resume")
    assert code == 0 and [line[:3] for line in err.splitlines()] == ["1/3", "2/3", "3/3"]
    after = json.loads(path.read_text())["entries"]
    assert after[:3] == before and [entry["mode"] for entry in after[3:]] == ["training"] * 3


def test_a_check_exits_with_1_where_a_speed_fell(recurra, tmp_path):
    path = tmp_path / "r.json"
    assert recurra("bench", *SMALL, "--json", path, "--training")[0] == 0
    document = json.loads(path.read_text())
    for entry, factor in zip(document["entries"], (1e-3, 1e-3, 1e3), strict=True):
        entry["speedups"]["torch.nn"]["median"] *= factor
    path.write_text(json.dumps(document))
    code, out, _ = recurra("bench", *QUICK, "--shapes", "T3B2H4", "--check", path)
    assert code == 1 and out.startswith("elman T3B2H4 training, float32, 1 thread: ")
    assert out.endswith("1 speeds fell by more than 15%\n")
    path.write_text(json.dumps(document | {"entries": document["entries"][:2]}))
    code, out, _ = recurra("bench", *QUICK, "--shapes", "T3B2H4", "--check", path)
    assert (code, out) == (0, "no speed fell\n")
    code, _, err = recurra("bench", *QUICK, "--shapes", "T9B2H4", "--check", path)
    assert code == 2 and "nothing to check" in err
    code, _, err = recurra("bench", "--shapes", "T3B2H4", "--threads", "2", "--check", path)
    assert code == 2 and "with float32, 2 threads; there is float32, 1 thread" in err


def test_a_cell_of_ones_own(recurra, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    code, out, err = recurra("bench", "--cell", f"{tmp_path}/own.py:Own", "--shapes", "T3B2H4,T1B1H4", *QUICK)
    assert err.startswith("Own runs as one compiled loop on the CPU\n")
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and rows[0][2:5] == ["eager loop (ms)", "Recurrent (ms)", "times as fast"]
    assert [row[:2] for row in rows[1:]] == [
        ["T3B2H4", "inference"],
        ["T3B2H4", "training"],
        ["T1B1H4", "streaming"],
    ]
    for row in rows[1:]:
        assert float(row[4]) == pytest.approx(float(row[2]) / float(row[3]), abs=0.1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--shapes", "100"), "T100B32H256"),
        (("--peers", "torhc.nn"), "did you mean 'torch.nn'?"),
        (("--pairs", "1"), "--pairs"),
        (("--tolerance", "2"), "--tolerance"),
        (("--threads", "0"), "--threads '0': write numbers of at least 1"),
        (("--layers", "1,two"), "--layers '1,two'"),
        (("--precision", "float16"), "float16"),
        (("--cell", "own.py:Own", "--precision", "both"), "--cell is one layer, in float32"),
        (("--resume",), "--resume needs --json"),
        (("--json", "none/r.json"), "no such folder"),
        (("--check", "none.json"), "none.json: cannot be read"),
        (("--check", "own.py"), "not written by recurra bench"),
        (("--check", "r.json", "--json", "s.json"), "--check writes nothing"),
        (("--json", "own.py", "--resume"), "not written by recurra bench"),
        (("--cell", "own.py:Own", "--chart", "r.png"), "--cell prints its table only"),
        (("--cell", "own.py:Ow"), "did you mean 'Own'?"),
        (("--cell", "none.py:Own"), "no such file"),
        (("--cell", "own.py:Short"), "Short(input_size, hidden_size) must build the cell"),
        (("--cell", "own.py:Narrowing", "--shapes", "T3B2H4"), "cell 'Narrowing'"),
        (("--shapes", "T1B1H4", "--training"), "a single step is only streamed"),
    ],
)
def test_what_is_refused(refused, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    assert said in refused("bench", *words)
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["own.py"]
