"""The house's own rules that a machine can hold: sizes of files and functions."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "recurra"
FILES = sorted(PACKAGE.rglob("*.py"))
LONG_FILES: set[str] = set()  # each with a reason, if there ever is one
LONG_FUNCTIONS: set[str] = set()


def test_files_are_of_one_idea() -> None:
    lines = {file: len(file.read_text().splitlines()) for file in FILES}
    assert [str(file) for file, count in lines.items() if count > 400 and file.name not in LONG_FILES] == []
    assert sorted(lines.values())[len(lines) // 2] <= 150


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_functions_fit_a_screen(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name not in LONG_FUNCTIONS:
            body = node.body[1:] if ast.get_docstring(node) else node.body
            size = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]
            assert size <= 60, f"{node.name} has {size} lines"
