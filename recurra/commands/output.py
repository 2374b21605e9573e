"""How verbs print: tables in a terminal, tab-separated lines in a pipe, JSON when asked."""

import json as json_module
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from recurra.metrics.score import Score

OutFolder = Annotated[Path, Parameter(help="Folder to make; one that exists is never overwritten.")]
RunPath = Annotated[Path, Parameter(help="A run folder.")]


def print_scores(found: "dict[str, list[Score]]", *, json: bool) -> None:
    """Scores by model; the settings they were measured with stand below the table."""
    if json:
        print(
            json_module.dumps({name: [score.to_json() for score in scores] for name, scores in found.items()}, indent=1)
        )
        return
    columns = [f"{score.name} ({score.unit})" for score in next(iter(found.values()))]
    print_table(
        ["model", *columns], [[name, *(f"{score.value:.4f}" for score in scores)] for name, scores in found.items()]
    )
    for name, scores in found.items():
        print(f"{name}: {scores[0].signature}")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of text: the first column to the left, the others to the right."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print(*row, sep="\t")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
