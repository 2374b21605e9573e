"""Training: the loop, and what a user's own loop can take from it.

    learner = recurra.training.rtrl(cell)
    loss(readout(learner(x)), target).backward()

Names are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.training.online.depth import Depth as Depth
    from recurra.training.online.learner import Learner as Learner
    from recurra.training.online.rtrl import rtrl as rtrl
    from recurra.training.online.snap import snap1 as snap1
    from recurra.training.online.uoro import uoro as uoro

_HOMES = {
    "Depth": "recurra.training.online.depth",
    "Learner": "recurra.training.online.learner",
    "rtrl": "recurra.training.online.rtrl",
    "snap1": "recurra.training.online.snap",
    "uoro": "recurra.training.online.uoro",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'recurra.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
