"""Learning methods for any model and any loop, and the package's own loop.

    from recurra.training import GradientFlow, HessianFree, SaddleFreeNewton, proximal_step, rtrl, weight_penalties

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
    from recurra.training.penalties.gradient_flow import GradientFlow as GradientFlow
    from recurra.training.penalties.weights import proximal_step as proximal_step
    from recurra.training.penalties.weights import weight_penalties as weight_penalties
    from recurra.training.search.evolution import Evolution as Evolution
    from recurra.training.search.guessing import RandomGuessing as RandomGuessing
    from recurra.training.second_order.hessian_free import HessianFree as HessianFree
    from recurra.training.second_order.saddle_free import SaddleFreeNewton as SaddleFreeNewton

_HOMES = {
    "Depth": "recurra.training.online.depth",
    "Evolution": "recurra.training.search.evolution",
    "GradientFlow": "recurra.training.penalties.gradient_flow",
    "HessianFree": "recurra.training.second_order.hessian_free",
    "Learner": "recurra.training.online.learner",
    "RandomGuessing": "recurra.training.search.guessing",
    "SaddleFreeNewton": "recurra.training.second_order.saddle_free",
    "proximal_step": "recurra.training.penalties.weights",
    "rtrl": "recurra.training.online.rtrl",
    "snap1": "recurra.training.online.snap",
    "uoro": "recurra.training.online.uoro",
    "weight_penalties": "recurra.training.penalties.weights",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'recurra.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
