"""The networks that a comparison of any task can name."""

import re
from collections.abc import Iterable
from typing import Any

from recurra.cells import CELLS
from recurra.errors import unknown


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
