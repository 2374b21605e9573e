"""``recurra rerank RUN CANDIDATES``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.commands.options import RunPath


def rerank(
    run: RunPath,
    source: Annotated[
        str,
        Parameter(
            name="CANDIDATES",
            help="Lines of a source, a tab, a candidate and, after another tab, its score; of a dialogue's run, JSON "
            'lines with "turns" and "candidates"; - is standard input.',
            allow_leading_hyphen=True,
        ),
    ],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="File to write, whole or not at all (else standard output).")] = None,
) -> None:
    """Sort another system's candidates by what a run thinks of them, and write its scores behind them."""
    from recurra.commands.output import write_pieces
    from recurra.tasks.run import load
    from recurra.training.machine import own_threads

    opened = load(run)
    opened.check_able("rerank", "predict")
    with own_threads(opened.config):
        write_pieces(opened.task.rerank(opened, source), out)
