"""``recurra predict RUN INPUT``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

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
    beam: Annotated[
        int | None, Parameter(help="Hypotheses that a search keeps (the run's --beam).", validator=Number(gte=1))
    ] = None,
    n_best: Annotated[
        int | None,
        Parameter(help="So many answers to each text, as lines that rerank reads.", validator=Number(gte=1)),
    ] = None,
) -> None:
    """Let a run label new input; the answer has the form of the input."""
    from recurra.commands.output import write_pieces
    from recurra.errors import BadInput
    from recurra.tasks.run import load
    from recurra.training.machine import own_threads

    opened = load(run)
    opened.check_able("predict", "sample")
    if stream and source != "-":
        raise BadInput(f"--stream reads standard input, got {source}; name - as the input")
    searching = {name: value for name, value in (("beam", beam), ("n_best", n_best)) if value is not None}
    opened.check_options("predict", searching)
    with own_threads(opened.config):
        write_pieces(opened.task.predict(opened, source, stream=stream, **searching), out, flush=stream)
