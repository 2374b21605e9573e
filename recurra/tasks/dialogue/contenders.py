"""The models that a comparison of answers can name."""

from typing import Any

from recurra.tasks.dialogue.baselines import COUNTED
from recurra.tasks.networks import Scores, counted, with_cell
from recurra.tasks.translation.reading import Pairs


def contender(name: str) -> dict[str, Any] | None:
    """The options that make the model of that name; None where it has no weights to train and :func:`count` makes it.

    Raises:
        BadInput: there is none.
    """
    return None if name in COUNTED else with_cell(name, COUNTED)


def count(name: str, data: Pairs) -> tuple[int, float, Scores]:
    """Answers that are remembered, seconds, and scores by part of a model without weights to train."""
    return (1 if name == "commonest" else len(data.train)), *counted(lambda part: COUNTED[name](data, data, part))
