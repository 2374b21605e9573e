"""The models that a comparison of executors can name."""

from typing import Any

from recurra.tasks.networks import Scores, counted, with_cell
from recurra.tasks.program_execution.baselines import BLIND, score_blind
from recurra.tasks.program_execution.scoring import Data


def contender(name: str) -> dict[str, Any] | None:
    """The options that make the model of that name; None where it has no weights to train and :func:`count` makes it.

    Raises:
        BadInput: there is none.
    """
    return None if name == BLIND else with_cell(name, [BLIND])


def count(name: str, data: Data) -> tuple[int, float, Scores]:
    """Contexts counted, seconds, and scores by part of a model without weights to train."""
    return score_blind(data, "dev")[0], *counted(lambda part: score_blind(data, part)[1])
