"""Learning methods for any model and any loop, and the package's own loop.

    from recurra.training import HessianFree, SaddleFreeNewton

Names are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra.training.second_order.hessian_free import HessianFree as HessianFree
    from recurra.training.second_order.saddle_free import SaddleFreeNewton as SaddleFreeNewton

_HOMES = {
    "HessianFree": "recurra.training.second_order.hessian_free",
    "SaddleFreeNewton": "recurra.training.second_order.saddle_free",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'recurra.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
