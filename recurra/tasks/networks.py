"""What a comparison of any task can name: networks, and models that are only counted."""

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from recurra.cells import CELLS
from recurra.errors import unknown
from recurra.metrics.score import Score

Scores = dict[str, list[Score]]
"""By part."""


def network(name: str, others: Iterable[str]) -> dict[str, Any]:
    """The options that make the network of that name: a cell, "window" or "window-N".

    Args:
        others: what else the task can compare, to be named where there is no such network.

    Raises:
        BadInput: there is none.
    """
    if name in CELLS:
        return {"model": "recurrent", "cell": name}
    if found := re.fullmatch(r"window(-[1-9]\d*)?", name):
        return {"model": "window"} | ({"window": int(found[1][1:])} if found[1] else {})
    raise unknown("model", name, [*others, "window", *CELLS])


def with_cell(name: str, others: Iterable[str]) -> dict[str, Any]:
    """The options that make a task's network with the cell of that name; arguments and errors as of :func:`network`."""
    if name in CELLS:
        return {"cell": name}
    raise unknown("model", name, [*others, *CELLS])


def counted(score: Callable[[str], list[Score]]) -> tuple[float, Scores]:
    """Seconds, and scores of a model that takes no training.

    Args:
        score: of a part.
    """
    started = time.perf_counter()
    found = {part: score(part) for part in ("dev", "test")}
    return time.perf_counter() - started, found
