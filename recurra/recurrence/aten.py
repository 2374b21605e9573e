"""ATen's element-wise operations, written with those of `operations.OPERATIONS`.

A line here is all that a PyTorch function needs which can be composed of operations the compiler knows. Gradients at
kinks are PyTorch's: what is not chosen by a ``where`` receives none.
"""

import math
from collections.abc import Callable
from typing import Any

from recurra.recurrence.graph import Operand, Value


def _value(x: Operand, like: Value) -> Value:
    return x if isinstance(x, Value) else like.graph.scalar(x)


def _named(name: str) -> Callable[..., Value]:
    return lambda x, *others: x.apply(name, *others)


def _where(condition: Value, yes: Operand, no: Operand) -> Value:
    return condition.apply("where", yes, no)


def _not_above(x: Value, bound: float | int) -> Value:
    """x where it is not above ``bound``, which is what keeps an exponential of it, and its gradient, finite."""
    return _where(x.apply("gt", bound), bound, x)


def _pow(base: Operand, exponent: Operand) -> Value:
    if not isinstance(base, Value):
        assert isinstance(exponent, Value)
        return (exponent * math.log(base)).apply("exp") if base > 0 else exponent.graph.apply("pow", base, exponent)
    known = exponent.number() if isinstance(exponent, Value) else exponent
    powers: dict[float, Callable[[Value], Value]] = {
        1.0: lambda x: x,
        2.0: lambda x: x * x,
        3.0: lambda x: x * x * x,
        4.0: lambda x: (x * x) * (x * x),
        0.5: lambda x: x.apply("sqrt"),
        -0.5: lambda x: x.apply("rsqrt"),
        -1.0: lambda x: 1 / x,
        -2.0: lambda x: 1 / (x * x),
    }
    return powers[known](base) if known in powers else base.apply("pow", exponent)


def _clamp(x: Value, low: Operand | None = None, high: Operand | None = None) -> Value:
    if low is not None:
        x = _where(x.apply("lt", low), low, x)
    return x if high is None else _where(x.apply("gt", high), high, x)


def _hardtanh(x: Value, low: float | int = -1.0, high: float | int = 1.0) -> Value:
    return _where(x.apply("le", low), low, _where(x.apply("ge", high), high, x))


def _elu(x: Value, alpha: float | int = 1.0, scale: float | int = 1.0, input_scale: float | int = 1.0) -> Value:
    below = (_not_above(x, 0.0) * input_scale).apply("expm1") * (alpha * scale)
    return _where(x.apply("gt", 0.0), x * scale, below)


def _softplus(x: Value, beta: float | int = 1.0, threshold: float | int = 20.0) -> Value:
    z = x * beta
    return _where(z.apply("gt", threshold), x, _not_above(z, threshold).apply("exp").apply("log1p") / beta)


def _log_sigmoid(x: Value) -> Value:
    return x.apply("minimum", 0.0) - (-x.apply("abs")).apply("exp").apply("log1p")


def _gelu(x: Value, approximate: str = "none") -> Value:
    if approximate == "tanh":
        return x * 0.5 * (1 + ((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)).apply("tanh"))
    return x * 0.5 * (1 + (x * math.sqrt(0.5)).apply("erf"))


def _hardswish(x: Value) -> Value:
    return _where(x.apply("le", -3.0), 0.0, _where(x.apply("ge", 3.0), x, x * (x + 3) / 6))


def _softshrink(x: Value, width: float | int = 0.5) -> Value:
    return _where(x.apply("gt", width), x - width, _where(x.apply("lt", -width), x + width, x * 0.0))


def _logaddexp(a: Value, b: Value) -> Value:
    distance = _where(a.apply("eq", b), 0.0, (a - b).apply("abs"))
    return a.apply("maximum", b) + (-distance).apply("exp").apply("log1p")


def _nan_to_num(x: Value, nan: Any = None, above: Any = None, below: Any = None, *, largest: float) -> Value:
    above, below = (largest if above is None else above), (-largest if below is None else below)
    x = _where(x.apply("eq", math.inf), above, _where(x.apply("eq", -math.inf), below, x))
    return _where(x.apply("ne", x), nan or 0.0, x)


COMPARISONS: dict[str, Callable[..., Value]] = {
    "to_truth": lambda x, **_: x.apply("ne", 0.0),
    **{name: _named(name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    "logical_not": lambda x: x.apply("eq", 0.0),
    "logical_and": lambda a, b: a.apply("ne", 0.0) * b.apply("ne", 0.0),
    "logical_or": lambda a, b: a.apply("ne", 0.0).apply("maximum", b.apply("ne", 0.0)),
    "logical_xor": lambda a, b: a.apply("ne", 0.0).apply("ne", b.apply("ne", 0.0)),
    "isnan": lambda x: x.apply("ne", x),
    "isinf": lambda x: x.apply("abs").apply("eq", math.inf),
}

ON_TRUTH: dict[str, Callable[..., Value]] = {
    "bitwise_not": lambda x: 1 - x,
    "bitwise_and": lambda a, b: a * b,
    "bitwise_or": lambda a, b: _value(a, b).apply("maximum", b),
    "bitwise_xor": lambda a, b: _value(a, b).apply("ne", b),
    "mul": lambda a, b: a * b,
}
"""What these mean where their result is of type bool; the other arithmetic there is not of truth is not known."""

POINTWISE: dict[str, Callable[..., Value]] = {
    **COMPARISONS,
    **{
        name: _named(name)
        for name in (
            *("neg", "abs", "sign", "sqrt", "rsqrt", "exp", "expm1", "log", "log1p", "tanh", "sigmoid", "relu", "erf"),
            *("sin", "cos", "floor", "round", "trunc", "minimum", "maximum", "detach"),
        )
    },
    "clone": lambda x, **_: x,
    "alias": lambda x: x,
    "lift_fresh": lambda x: x,
    "_to_copy": lambda x, **_: x,
    "add": lambda a, b, alpha=1: a + b * alpha,
    "sub": lambda a, b, alpha=1: a - b * alpha,
    "rsub": lambda a, b, alpha=1: b - a * alpha,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "reciprocal": lambda x: 1 / x,
    "square": lambda x: x * x,
    "pow": _pow,
    "exp2": lambda x: (x * math.log(2)).apply("exp"),
    "log2": lambda x: x.apply("log") / math.log(2),
    "log10": lambda x: x.apply("log") / math.log(10),
    "erfc": lambda x: 1 - x.apply("erf"),
    "tan": lambda x: x.apply("sin") / x.apply("cos"),
    "frac": lambda x: x - x.apply("trunc"),
    "where": _where,
    "masked_fill": lambda x, mask, value: _where(mask, value, x),
    "clamp": _clamp,
    "clamp_min": lambda x, low: _clamp(x, low),
    "clamp_max": lambda x, high: _clamp(x, None, high),
    "hardtanh": _hardtanh,
    "relu6": lambda x: _hardtanh(x, 0.0, 6.0),
    "leaky_relu": lambda x, slope=0.01: _where(x.apply("gt", 0.0), x, x * slope),
    "_prelu_kernel": lambda x, slope: _where(x.apply("gt", 0.0), x, x * slope),
    "elu": _elu,
    "celu": lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1 / alpha),
    "silu": lambda x: x * x.apply("sigmoid"),
    "mish": lambda x: x * _softplus(x).apply("tanh"),
    "gelu": _gelu,
    "softplus": _softplus,
    "hardsigmoid": lambda x: _where(x.apply("le", -3.0), 0.0, _where(x.apply("ge", 3.0), 1.0, (x + 3) / 6)),
    "hardswish": _hardswish,
    "hardshrink": lambda x, width=0.5: _where((x.apply("abs")).apply("le", width), 0.0, x),
    "softshrink": _softshrink,
    "log_sigmoid_forward": _log_sigmoid,
    "threshold": lambda x, bound, value: _where(x.apply("le", bound), value, x),
    "logaddexp": _logaddexp,
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "addcmul": lambda a, b, c, value=1: a + b * c * value,
    "addcdiv": lambda a, b, c, value=1: a + b / c * value,
    "nan_to_num": _nan_to_num,
    "copy": lambda old, new: new,
    "fill": lambda old, new: new,
}
