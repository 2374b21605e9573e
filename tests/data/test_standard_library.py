import sysconfig
from pathlib import Path

import pytest

from recurra.data import standard_library
from recurra.data.standard_library import _select
from recurra.errors import BadInput


def test_the_text_is_the_first_modules_by_name_and_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path))
    path = standard_library.standard_library()
    text = path.read_text(encoding="utf-8")
    folder = Path(sysconfig.get_path("stdlib"))
    first = (folder / "__future__.py").read_text(encoding="utf-8")
    assert text.startswith(first) and 1_500_000 < len(text.encode()) <= 2_000_000
    path.write_text("as it was")
    assert standard_library.standard_library() == path and path.read_text() == "as it was"


def test_modules_come_whole_in_order_and_only_as_utf8(tmp_path, monkeypatch):
    monkeypatch.setattr(standard_library, "BYTES", 10)
    for name, content in {
        "b.py": b"bbb",
        "a.py": b"aa",
        "c.py": b"\xff",
        "d.txt": b"no",
        "e.py": b"e" * 9,
        "f.py": b"f",
    }.items():
        (tmp_path / name).write_bytes(content)
    assert _select(tmp_path) == "aabbb"


def test_a_python_without_sources_is_named(tmp_path):
    with pytest.raises(BadInput, match="no Python sources"):
        _select(tmp_path)
