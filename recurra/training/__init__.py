"""Learning methods for any model and any loop, and the package's own loop.

    from recurra.training import GradientFlow, proximal_step, weight_penalties

Names are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.training.penalties.gradient_flow import GradientFlow as GradientFlow
    from recurra.training.penalties.weights import proximal_step as proximal_step
    from recurra.training.penalties.weights import weight_penalties as weight_penalties

_HOMES = {
    "GradientFlow": "recurra.training.penalties.gradient_flow",
    "proximal_step": "recurra.training.penalties.weights",
    "weight_penalties": "recurra.training.penalties.weights",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'recurra.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
