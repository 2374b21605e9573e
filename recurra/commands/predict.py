"""``recurra predict RUN INPUT``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.commands.options import RunPath


def predict(
    run: RunPath,
    source: Annotated[
        str,
        Parameter(
            name="INPUT",
            help="A file or folder like those trained on; - is standard input.",
            allow_leading_hyphen=True,
        ),
    ],
    /,
    *,
    out: Annotated[Path | None, Parameter(help="File to write, whole or not at all (else standard output).")] = None,
    stream: Annotated[
        bool, Parameter(negative="", help="Answer each step of standard input as it comes, in constant memory.")
    ] = False,
) -> None:
    """Let a run label new input; the answer has the form of the input."""
    from recurra.errors import BadInput
    from recurra.files import replacing
    from recurra.tasks.run import load
    from recurra.training.machine import own_threads

    opened = load(run)
    opened.check_able("predict", "sample")
    if stream and source != "-":
        raise BadInput(f"--stream reads standard input, got {source}; name - as the input")
    with own_threads(opened.config):
        pieces = opened.task.predict(opened, source, stream=stream)
        if out is None:
            _print(pieces, flush=stream or sys.stdout.isatty())
            return
        with replacing(out) as part, part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)


def _print(pieces: Iterator[str], *, flush: bool) -> None:
    for piece in pieces:
        sys.stdout.write(piece)
        if flush:
            sys.stdout.flush()
