"""The models that a comparison can name."""

import re
import time
from typing import Any

from recurra.cells import CELLS
from recurra.errors import unknown
from recurra.metrics.score import Score
from recurra.tasks.tagging.baselines import COUNTED, pairs, score_counted
from recurra.tasks.tagging.scoring import Data


def contender(name: str) -> dict[str, Any] | None:
    """The options that make the model of that name; None where it has no weights to train and :func:`count` makes it.

    Raises:
        BadInput: there is none.
    """
    if name in COUNTED:
        return None
    if name in CELLS:
        return {"model": "recurrent", "cell": name}
    if found := re.fullmatch(r"window(-[1-9]\d*)?", name):
        return {"model": "window"} | ({"window": int(found[1][1:])} if found[1] else {})
    raise unknown("model", name, [*COUNTED, "window", *CELLS])


def count(name: str, data: Data) -> tuple[int, float, dict[str, list[Score]]]:
    """Parameters, seconds of counting, and scores by part of a model without weights to train."""
    started = time.perf_counter()
    tagger = COUNTED[name](pairs(data.labels.train, data.known))
    seconds = time.perf_counter() - started
    return tagger.parameters, seconds, {part: score_counted(tagger, data, part) for part in ("dev", "test")}
