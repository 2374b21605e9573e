"""Every element-wise operation the compiler knows: what it means, its gradient, and its vector instructions.

To add one, add an entry to `OPERATIONS`, and its name in ATen to the table in `aten.py` (``docs/compiler.md`` does it).

- ``meaning``: the PyTorch function, the ground truth that tests compare the instructions with.
- ``gradient(g, y, *x)``: from the gradient g of the result y, the gradient of each operand in x, written as equations
  over graph values; None where none flows.
- ``emit(v, *x)``: the instructions, through the methods of `cpu.vector.Vectors`.

Truth is 1 and 0, as numbers.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.graph import Value

Gradients = tuple[Value | None, ...]


class Operation(NamedTuple):
    """One element-wise operation: three ways to say it."""

    meaning: Callable[..., Tensor]
    gradient: Callable[..., Gradients]
    emit: Callable[..., Any]


def _compare(symbol: str, meaning: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return Operation(
        lambda a, b: meaning(a, b).to(torch.result_type(a, b)),
        lambda g, y, a, b: (None, None),
        lambda v, a, b: v.select(v.compare(symbol, a, b), v.constant(1.0), v.constant(0.0)),
    )


def _flat(meaning: Callable[[Tensor], Tensor], emit: Callable[..., Any]) -> Operation:
    return Operation(meaning, lambda g, y, x: (None,), emit)


def _where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(condition != 0, yes, no)


def _where_gradient(g: Value, y: Value, condition: Value, yes: Value, no: Value) -> Gradients:
    return None, condition.apply("where", g, 0.0), condition.apply("where", 0.0, g)


def _larger(loses: str) -> Callable[..., Gradients]:
    """The gradient of the larger or smaller of two: all of it to the winner, half to each of two equals.

    What cannot be compared (NaN) has not lost.
    """

    def gradient(g: Value, y: Value, a: Value, b: Value) -> Gradients:
        share = a.apply("eq", b).apply("where", g * 0.5, g)
        return a.apply(loses, b).apply("where", 0.0, share), b.apply(loses, a).apply("where", 0.0, share)

    return gradient


def _power_gradient(g: Value, y: Value, base: Value, exponent: Value) -> Gradients:
    to_base = exponent.apply("eq", 0.0).apply("where", 0.0, g * exponent * base.apply("pow", exponent - 1))
    if exponent.number() is not None:
        return to_base, None
    vanishes = base.apply("eq", 0.0) * exponent.apply("ge", 0.0)
    return to_base, vanishes.apply("where", 0.0, g * y * base.apply("log"))


def _emit_sign(v: Any, x: Any) -> Any:
    negative = v.select(v.compare("<", x, v.constant(0.0)), v.constant(-1.0), v.constant(0.0))
    return v.select(v.compare(">", x, v.constant(0.0)), v.constant(1.0), negative)


OPERATIONS: dict[str, Operation] = {
    "add": Operation(torch.add, lambda g, y, a, b: (g, g), lambda v, a, b: v.add(a, b)),
    "sub": Operation(torch.sub, lambda g, y, a, b: (g, -g), lambda v, a, b: v.sub(a, b)),
    "mul": Operation(torch.mul, lambda g, y, a, b: (g * b, g * a), lambda v, a, b: v.mul(a, b)),
    "div": Operation(torch.div, lambda g, y, a, b: (g / b, -(g * y / b)), lambda v, a, b: v.div(a, b)),
    "neg": Operation(torch.neg, lambda g, y, x: (-g,), lambda v, x: v.neg(x)),
    "abs": Operation(torch.abs, lambda g, y, x: (g * x.apply("sign"),), lambda v, x: v.abs(x)),
    "sqrt": Operation(torch.sqrt, lambda g, y, x: (g / (y * 2),), lambda v, x: v.sqrt(x)),
    "rsqrt": Operation(
        torch.rsqrt, lambda g, y, x: (g * y * y * y * -0.5,), lambda v, x: v.div(v.constant(1.0), v.sqrt(x))
    ),
    "exp": Operation(torch.exp, lambda g, y, x: (g * y,), lambda v, x: v.exp(x)),
    "expm1": Operation(torch.expm1, lambda g, y, x: (g * (y + 1),), lambda v, x: v.expm1(x)),
    "log": Operation(torch.log, lambda g, y, x: (g / x,), lambda v, x: v.log(x)),
    "log1p": Operation(torch.log1p, lambda g, y, x: (g / (x + 1),), lambda v, x: v.log1p(x)),
    "tanh": Operation(torch.tanh, lambda g, y, x: (g * (1 - y * y),), lambda v, x: v.tanh(x)),
    "sigmoid": Operation(torch.sigmoid, lambda g, y, x: (g * (y * (1 - y)),), lambda v, x: v.sigmoid(x)),
    "relu": Operation(
        torch.relu,
        lambda g, y, x: (y.apply("le", 0.0).apply("where", 0.0, g),),
        lambda v, x: v.maximum(x, v.constant(0.0)),
    ),
    "erf": Operation(
        torch.erf, lambda g, y, x: (g * (-(x * x)).apply("exp") * (2 / math.sqrt(math.pi)),), lambda v, x: v.erf(x)
    ),
    "sin": Operation(torch.sin, lambda g, y, x: (g * x.apply("cos"),), lambda v, x: v.sin(x)),
    "cos": Operation(torch.cos, lambda g, y, x: (-(g * x.apply("sin")),), lambda v, x: v.cos(x)),
    "pow": Operation(torch.pow, _power_gradient, lambda v, a, b: v.pow(a, b)),
    "minimum": Operation(torch.minimum, _larger("gt"), lambda v, a, b: v.minimum(a, b)),
    "maximum": Operation(torch.maximum, _larger("lt"), lambda v, a, b: v.maximum(a, b)),
    "floor": _flat(torch.floor, lambda v, x: v.floor(x)),
    "round": _flat(torch.round, lambda v, x: v.round(x)),
    "trunc": _flat(torch.trunc, lambda v, x: v.trunc(x)),
    "sign": _flat(torch.sign, _emit_sign),
    "detach": _flat(torch.detach, lambda v, x: x),
    "lt": _compare("<", torch.lt),
    "le": _compare("<=", torch.le),
    "gt": _compare(">", torch.gt),
    "ge": _compare(">=", torch.ge),
    "eq": _compare("==", torch.eq),
    "ne": _compare("!=", torch.ne),
    "where": Operation(_where, _where_gradient, lambda v, c, a, b: v.select(v.compare("!=", c, v.constant(0.0)), a, b)),
}
