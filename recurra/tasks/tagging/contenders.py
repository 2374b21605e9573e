"""The models that a comparison can name."""

import time
from typing import Any

from recurra.metrics.score import Score
from recurra.tasks.networks import network
from recurra.tasks.tagging.baselines import COUNTED, pairs, score_counted
from recurra.tasks.tagging.scoring import Data


def contender(name: str) -> dict[str, Any] | None:
    """The options that make the model of that name; None where it has no weights to train and :func:`count` makes it.

    Raises:
        BadInput: there is none.
    """
    if name in COUNTED:
        return None
    return network(name, COUNTED)


def count(name: str, data: Data) -> tuple[int, float, dict[str, list[Score]]]:
    """Parameters, seconds of counting, and scores by part of a model without weights to train."""
    started = time.perf_counter()
    tagger = COUNTED[name](pairs(data.labels.train, data.known))
    seconds = time.perf_counter() - started
    return tagger.parameters, seconds, {part: score_counted(tagger, data, part) for part in ("dev", "test")}
