"""`recurra data list` and `recurra data get`, run through their command line."""

import gzip
import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from recurra.commands.data import app
from recurra.data import catalogue
from recurra.errors import BadInput


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture
def printed(capfd):
    """Run a command line and return what it wrote to standard output; it writes nothing to standard error."""

    def run(*words):
        app(words, result_action="return_value")
        out, err = capfd.readouterr()
        assert err == ""
        return out

    return run


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not looked into")


def test_list_is_plain_text_away_from_a_terminal(folder, printed):
    rows = [line.split("\t") for line in printed("list").splitlines()]
    assert rows[0] == ["name", "task", "size", "licence", "address", "here"]
    ptb, shakespeare = rows[1:3]
    assert ptb[:3] == ["ptb", "language-model", "6.0 MB"]
    assert ptb[3].startswith("none stated") and ptb[4:] == ["address not yet verified", "no"]
    assert shakespeare[:3] == ["tiny-shakespeare", "language-model", "1.1 MB"]


def test_list_says_where_a_set_is(folder, printed):
    put(folder / "tinyshakespeare" / "input.txt.gz")
    cached = folder.parent / "cache" / "data" / "ptb"
    put(cached / "ptb.valid.txt")
    ptb, shakespeare = (line.split("\t")[-1] for line in printed("list").splitlines()[1:3])
    assert ptb == f"1 of 3 files in {cached}"
    assert shakespeare == str(folder / "tinyshakespeare")


def test_list_as_json_tells_everything(folder, printed):
    put(folder / "tinyshakespeare" / "input.txt.gz")
    ptb, shakespeare, *others = json.loads(printed("list", "--json"))
    assert ptb["size"] == 5_101_618 + 399_782 + 449_945 and ptb["here"] == {}
    assert [file["role"] for file in ptb["files"]] == ["train", "dev", "test"]
    assert shakespeare["here"] == {"data": str(folder / "tinyshakespeare" / "input.txt.gz")}
    assert shakespeare["files"][0]["verified"] is None and shakespeare["unit"] == "characters"
    assert {row["task"] for row in others} == {"tagging", "classification", "translation", "dialogue", "forecasting"}


def test_list_is_a_table_on_a_terminal_and_cuts_nothing(folder, printed, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")  # 80 columns, no colours
    table = printed("list")
    assert "┃ name" in table and "│ ptb " in table
    assert "…" not in table and max(map(len, table.splitlines())) <= 80


def test_get_prints_the_paths_one_a_line(folder, printed, monkeypatch):
    packed = gzip.compress(b"to be or not to be")
    ptb = catalogue.find_dataset("ptb")
    files = tuple(replace(file, packed_sha256=hashlib.sha256(packed).hexdigest()) for file in ptb.files)
    monkeypatch.setattr(catalogue, "DATASETS", (replace(ptb, files=files),))
    paths = [folder / file.packed for file in files]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed)
    assert printed("get", "ptb") == "".join(f"{path}\n" for path in paths)


def test_get_refuses_an_unknown_name(folder):
    with pytest.raises(BadInput, match="unknown data set 'pbt'; did you mean 'ptb'"):
        app(["get", "pbt"], result_action="return_value")


def test_the_commands_load_nothing_heavy():
    code = "import sys, recurra.commands.data; print({'rich', 'requests', 'pooch', 'numpy', 'torch'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
