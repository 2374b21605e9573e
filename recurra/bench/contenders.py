"""Who can be measured, and who of them is here."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from shutil import which

from recurra.bench.jax_peer import jax
from recurra.bench.onnx_peer import onnxruntime
from recurra.bench.problem import Contender, Problem
from recurra.bench.torch_peers import (
    eager_loop,
    recurra_layer,
    recurra_nn,
    torch_cell,
    torch_compile,
    torch_nn,
    torchrecurrent,
)
from recurra.errors import unknown

OURS = "recurra"
HOUSE = frozenset({OURS, "recurra.nn"})

CONTENDERS: dict[str, Callable[[Problem], Contender | None]] = {
    OURS: recurra_layer,
    "recurra.nn": recurra_nn,
    "torch.nn": torch_nn,
    "torch.nn cell": torch_cell,
    "onnxruntime": onnxruntime,
    "jax": jax,
    "eager loop": eager_loop,
    "torchrecurrent": torchrecurrent,
    "torch.compile": torch_compile,
}
"""Each builder returns None for a problem that it does not compute."""

PEERS = tuple(name for name in CONTENDERS if name not in (OURS, "eager loop"))
"""Those that stand beside Recurra unless others are asked for."""

UNDER_AUTOCAST = frozenset({*HOUSE, "torch.nn", "torch.nn cell", "eager loop"})
"""Those that PyTorch's autocast lets compute in bfloat16; the others know float32 alone."""

STACKED = frozenset({OURS, "torch.nn"})
"""Those that have several layers and both directions."""

LOOPS = frozenset({"torchrecurrent", "torch.compile"})
"""Those that loop in Python, or unroll such a loop: minutes of measuring on most shapes."""

_NEEDED = {
    "onnxruntime": ("onnx", "onnxruntime"),
    "jax": ("jax",),
    "torchrecurrent": ("torchrecurrent",),
}


def missing(names: Iterable[str]) -> dict[str, str]:
    """Why some of the named contenders cannot be measured here.

    Raises:
        BadInput: there is no such contender.
    """
    reasons = {}
    for name in names:
        if name not in CONTENDERS:
            raise unknown("peer", name, CONTENDERS)
        absent = [module for module in _NEEDED.get(name, ()) if find_spec(module) is None]
        if absent:
            reasons[name] = f"not installed: {', '.join(absent)}"
        if name == "torch.compile" and which("c++") is None:
            reasons[name] = "no C++ compiler"
    return reasons


def build(problem: Problem, names: Iterable[str]) -> dict[str, Contender]:
    """The contenders among ``names`` that compute the problem."""
    built = {name: CONTENDERS[name](problem) for name in names}
    return {name: contender for name, contender in built.items() if contender is not None}
