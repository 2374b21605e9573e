"""How verbs print: tables in a terminal, tab-separated lines in a pipe, JSON when asked."""

import json as json_module
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra.metrics.score import Score
    from recurra.tasks.comparison import Comparison


def write_pieces(pieces: Iterator[str], out: Path | None, *, flush: bool = False) -> None:
    """Text as it comes: to a file, whole or not at all, or to standard output.

    Args:
        flush: after every piece, whoever reads.
    """
    if out is not None:
        from recurra.files import replacing

        with replacing(out) as part, part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
        return
    flush = flush or sys.stdout.isatty()
    for piece in pieces:
        sys.stdout.write(piece)
        if flush:
            sys.stdout.flush()


def print_scores(found: "dict[str, list[Score]]", *, json: bool) -> None:
    """Scores by model, and the settings they were measured with: below a table, else in the last column."""
    if json:
        print(
            json_module.dumps({name: [score.to_json() for score in scores] for name, scores in found.items()}, indent=1)
        )
        return
    leading = next(iter(found.values()))
    columns = ["model", *(f"{score.name} ({score.unit})" for score in leading)]
    rows = []
    for name, scores in found.items():
        values = {(score.name, score.unit): f"{score.value:.4f}" for score in scores}
        rows.append([name, *(values.get((score.name, score.unit), "") for score in leading)])
    if sys.stdout.isatty():
        print_table(columns, rows)
        for name, scores in found.items():
            print(f"{name}: {scores[0].signature}")
    else:
        signatures = [scores[0].signature for scores in found.values()]
        print_table([*columns, "measured on"], [[*row, text] for row, text in zip(rows, signatures, strict=True)])


def print_comparison(comparison: "Comparison", *, json: bool) -> None:
    """One line a model, with its first score on either part; below it what failed, and where everything is."""
    if json:
        print(json_module.dumps(comparison.to_json(), indent=1))
        return
    leading = next((result.scores["test"][0] for result in comparison.results), None)
    score = f"{leading.name} ({leading.unit})" if leading else "score"
    print_table(
        ["model", "parameters", "seconds", f"dev {score}", f"test {score}"],
        [
            [
                result.name,
                str(result.parameters),
                f"{result.seconds:.1f}",
                *(f"{result.scores[part][0].value:.4f}" for part in ("dev", "test")),
            ]
            for result in comparison.results
        ],
    )
    for message in comparison.failed.values():
        print(message, file=sys.stderr)
    print(comparison.path, file=sys.stderr)


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
