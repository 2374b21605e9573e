"""``recurra evaluate RUN [DATA]``."""

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from recurra.commands.options import Json, RunPath
from recurra.commands.output import print_scores


def evaluate(
    run: RunPath,
    /,
    *data: Annotated[str, Parameter(help="Files to score instead of the run's own test part.")],
    split: Annotated[Literal["dev", "test"], Parameter(help="Part of the run's own data.")] = "test",
    json: Json = False,
) -> None:
    """Score a run, with its baselines beside it."""
    from recurra.tasks.run import load
    from recurra.training.machine import own_threads

    opened = load(run)
    with own_threads(opened.config):
        scores = opened.evaluate(*data, split=split)
        print_scores(scores, json=json)
        for line in opened.report(*data, split=split):
            print(line, file=sys.stderr)
