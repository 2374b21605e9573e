"""``recurra quantize RUN``."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.commands.options import Json, RunPath
from recurra.commands.output import print_scores


def quantize(
    run: RunPath,
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder to make (else RUN-int8); one that exists is never overwritten.")
    ] = None,
    json: Json = False,
) -> None:
    """Round a finished run's recurrent weights to int8, for faster inference on a CPU, into a run folder of its own.

    Prints the scores before and after.
    """
    from recurra.tasks.quantized import quantize_run
    from recurra.tasks.run import load

    quantized = quantize_run(run, run.with_name(f"{run.name}-int8") if out is None else out)
    scores = {"float32": load(run).final_scores()["model"], "int8": quantized.final_scores()["model"]}
    print_scores(scores, json=json)
    before, after = ((path / "model.safetensors").stat().st_size / 1e6 for path in (run, quantized.path))
    print(f"{quantized.path}: {after:.1f} MB of weights, {before:.1f} MB before", file=sys.stderr)
