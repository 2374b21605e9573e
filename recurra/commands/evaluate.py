"""``recurra evaluate RUN [DATA]``."""

import sys
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from recurra.commands.options import Json, RunPath
from recurra.commands.output import print_scores


def evaluate(
    run: RunPath,
    /,
    *data: Annotated[str, Parameter(help="Files to score instead of the run's own test part.")],
    split: Annotated[Literal["dev", "test"], Parameter(help="Part of the run's own data.")] = "test",
    rolling: Annotated[
        int | None,
        Parameter(help="Score forecasts from so many origins, one after the other.", validator=Number(gte=1)),
    ] = None,
    refit: Annotated[
        bool, Parameter(negative="", help="Train anew for each of these, on what lies before it.")
    ] = False,
    json: Json = False,
) -> None:
    """Score a run, with its baselines beside it."""
    from recurra.errors import BadInput
    from recurra.tasks.run import load
    from recurra.training.machine import own_threads

    opened = load(run)
    if refit and rolling is None:
        raise BadInput("--refit: say by --rolling from how many origins")
    with own_threads(opened.config):
        if rolling is not None:
            opened.check_able("roll", "evaluate")
            if data or split != "test":
                raise BadInput("--rolling: is of the run's own test part; leave out DATA and --split")
            print_scores(opened.task.roll(opened, rolling, refit=refit), json=json)
            return
        scores = opened.evaluate(*data, split=split)
        print_scores(scores, json=json)
        for line in opened.report(*data, split=split):
            print(line, file=sys.stderr)
