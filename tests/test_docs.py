"""The blocks of Python in some pages are run in order; what is shown below one is what it printed."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from recurra.data.problems import PROBLEMS
from recurra.recurrence.aten import POINTWISE
from recurra.recurrence.operations import OPERATIONS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "compiler.md"
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.MULTILINE | re.DOTALL)


@pytest.fixture
def tables():
    """The operations as they were; the page adds some."""
    kept = [(table, dict(table)) for table in (OPERATIONS, POINTWISE)]
    yield
    for table, before in kept:
        table.clear()
        table.update(before)


# torch's own use of it, at the first derivative of forward mode
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("page", [PAGE, ROOT / "docs" / "learning.md"], ids=lambda page: page.stem)
def test_what_a_page_shows_is_what_happens(page, tables, monkeypatch):
    monkeypatch.chdir(ROOT)
    text, space = page.read_text(), {"__name__": f"{page.stem}_page"}
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("code"))
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile("\n" * line + match["code"], str(page), "exec"), space)
        assert printed.getvalue().strip() == (match["shown"] or "").strip(), f"line {line + 1}"


def test_the_table_of_problems_has_all_of_them():
    text = (ROOT / "docs" / "problems.md").read_text()
    assert sorted(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == sorted(PROBLEMS)


FOLDER = ROOT / "recurra" / "recurrence"


def test_files_that_the_page_names_are_there():
    named = re.findall(r"`((?:cpu/)?\w+\.py)`", PAGE.read_text())
    assert len(named) > 20 and [name for name in named if not (FOLDER / name).is_file()] == []


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "cpu"], ids=lambda folder: folder.name)
def test_the_map_of_a_folder_names_its_files(folder):
    named = re.findall(r"^    (\w+\.py) ", (folder / "__init__.py").read_text(), re.MULTILINE)
    there = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    assert sorted(named) == sorted(there)
