"""``recurra predict RUN INPUT``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from recurra.commands.options import RunPath


def predict(
    run: RunPath,
    source: Annotated[
        str | None,
        Parameter(
            name="INPUT",
            help="A file or folder like those trained on; - is standard input. Forecasts need none: they go on "
            "from the run's own data.",
            allow_leading_hyphen=True,
        ),
    ] = None,
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
    as_of: Annotated[
        str | None, Parameter(help="Forecast as if this date were the last one known (the end of each series).")
    ] = None,
    quantiles: Annotated[str | None, Parameter(help="Levels, with commas, of a forecast (0.1 to 0.9).")] = None,
    paths: Annotated[
        int | None, Parameter(help="So many sampled futures of each series as well.", validator=Number(gte=1))
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
    given = {"beam": beam, "n_best": n_best, "as_of": as_of, "quantiles": quantiles, "paths": paths}
    options = {name: value for name, value in given.items() if value is not None}
    opened.check_options("predict", options)
    if source is None and not opened.able("predict_table"):
        raise BadInput("INPUT is missing; name a file like those trained on, or - for standard input")
    with own_threads(opened.config):
        if out is not None and out.suffix == ".parquet" and opened.able("predict_table"):
            opened.task.predict_table(opened, source, out, **options)
            return
        flush = stream or source == "-"
        write_pieces(opened.task.predict(opened, source, stream=stream, **options), out, flush=flush)
