"""The models that a comparison of problems can name, each at the lag of all or at its own: ``lstm`` or ``lstm@200``."""

import re
from typing import Any

from recurra.tasks.networks import Scores, counted, network
from recurra.tasks.problem.baselines import COUNTED, score_known
from recurra.tasks.problem.problems import Data, make_data


def contender(name: str) -> dict[str, Any] | None:
    """The options that make the model of that name; None where it has no weights to train and :func:`count` makes it.

    Raises:
        BadInput: there is none.
    """
    model, lag = split(name)
    if model in COUNTED:
        return None
    return network(model, COUNTED) | ({} if lag is None else {"lag": lag})


def count(name: str, data: Data) -> tuple[int, float, Scores]:
    """No parameters, seconds, and scores by part of an answer that is known."""
    model, lag = split(name)
    if lag is not None:
        data = make_data(data.problem.name, data.config.model_copy(update={"lag": lag}))
    return 0, *counted(lambda part: score_known(model, data, part))


def split(name: str) -> tuple[str, int | None]:
    """A contender's model, and its own lag where it has one."""
    found = re.fullmatch(r"(.+)@(\d+)", name)
    return (found[1], int(found[2])) if found else (name, None)
