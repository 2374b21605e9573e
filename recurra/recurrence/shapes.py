"""Shapes of results, for the operations that steps are made of.

PyTorch's own answer (its meta kernels) is right for every operation, but the first one imports seconds of symbolic
algebra: it is asked only for what is not here.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from recurra.recurrence.aten import COMPARISONS, POINTWISE

Sizes = Sequence[int]


def result(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor | tuple[Tensor, ...] | None:
    """An empty tensor, or several, shaped and typed like the result of a call; None where PyTorch must be asked.

    Args:
        name: the operation, without overload, such as "addmm".
    """
    given = [
        arg for arg in (*args, *(args[0] if args and isinstance(args[0], list) else ())) if isinstance(arg, Tensor)
    ]
    floats = {tensor.dtype for tensor in given if tensor.dtype != torch.bool}
    if len(floats) != 1 or not next(iter(floats)).is_floating_point or kwargs.get("dtype") is not None:
        return None
    dtype = torch.bool if name in COMPARISONS else floats.pop()
    if name in _SEVERAL:
        shapes = _SEVERAL[name](*args, **kwargs)
        return tuple(torch.empty(shape, dtype=dtype, device="meta") for shape in shapes)
    if name in POINTWISE:
        shape = _broadcast([tensor.shape for tensor in given])
    elif name in _RULES:
        shape = _RULES[name](*args, **kwargs)
    else:
        return None
    return None if shape is None else torch.empty(shape, dtype=dtype, device="meta")


def _made(name: str, *args: Any, dtype: torch.dtype | None = None, **_: Any) -> Tensor | None:
    """A tensor that is made of sizes, and perhaps a number."""
    if dtype is None and any(isinstance(arg, int) for arg in args) and name == "full":
        return None
    like = args[0].dtype if isinstance(args[0], Tensor) else torch.get_default_dtype()
    return torch.empty(_MADE[name](*args), dtype=dtype or like, device="meta")


def _broadcast(shapes: Sequence[Sizes]) -> list[int] | None:
    sizes = []
    for together in zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1):
        wide = {size for size in together if size != 1}
        if len(wide) > 1:
            return None
        sizes.append(wide.pop() if wide else 1)
    return sizes[::-1]


def _mm(a: Tensor, b: Tensor) -> list[int] | None:
    if a.dim() != b.dim() or a.shape[-1] != b.shape[-2] or a.shape[:-2] != b.shape[:-2]:
        return None
    return [*a.shape[:-1], b.shape[-1]]


def _addmm(bias: Tensor, a: Tensor, b: Tensor, beta: float | int = 1, alpha: float | int = 1) -> list[int] | None:
    shape = _mm(a, b)
    return shape if shape is not None and _broadcast([bias.shape, shape]) == shape else None


def _reduced(x: Tensor, dims: Sequence[int] | int | None = None, keepdim: bool = False, **_: Any) -> list[int] | None:
    dims = [dims] if isinstance(dims, int) else dims
    if not dims or any(not -x.dim() <= dim < x.dim() for dim in dims):
        return None
    gone = {dim % x.dim() for dim in dims}
    sizes = [1 if dim in gone else size for dim, size in enumerate(x.shape)]
    return sizes if keepdim else [size for dim, size in enumerate(sizes) if dim not in gone]


def _cat(parts: list[Tensor], dim: int = 0) -> list[int] | None:
    first = parts[0].shape
    if not first or not -len(first) <= dim < len(first):
        return None
    dim %= len(first)
    if any(len(part.shape) != len(first) for part in parts):
        return None
    sizes = [set(together) for together in zip(*(part.shape for part in parts), strict=True)]
    if any(len(each) > 1 for other, each in enumerate(sizes) if other != dim):
        return None
    return [*first[:dim], sum(part.shape[dim] for part in parts), *first[dim + 1 :]]


def _stack(parts: list[Tensor], dim: int = 0) -> list[int] | None:
    first = list(parts[0].shape)
    if any(list(part.shape) != first for part in parts) or not -len(first) - 1 <= dim <= len(first):
        return None
    dim %= len(first) + 1
    return [*first[:dim], len(parts), *first[dim:]]


_MADE: dict[str, Callable[..., Sizes]] = {
    "eye": lambda n, m=None: [n, n if m is None else m],
    **dict.fromkeys(("zeros", "ones"), lambda sizes: sizes),
    **dict.fromkeys(("new_zeros", "new_ones"), lambda x, sizes: sizes),
    "full": lambda sizes, value: sizes,
    "new_full": lambda x, sizes, value: sizes,
}

_RULES: dict[str, Callable[..., list[int] | None]] = {
    "mm": _mm,
    "bmm": _mm,
    "addmm": _addmm,
    "cat": _cat,
    "stack": _stack,
    "sum": lambda x, dims=None, keepdim=False: _reduced(x, dims, keepdim),
    "mean": lambda x, dims=None, keepdim=False: _reduced(x, dims, keepdim),
    "amax": _reduced,
    "amin": _reduced,
    "_softmax": lambda x, dim, half_to_float: list(x.shape),
    "_log_softmax": lambda x, dim, half_to_float: list(x.shape),
    "zeros_like": lambda x, **_: list(x.shape),
    "ones_like": lambda x, **_: list(x.shape),
    "full_like": lambda x, value, **_: list(x.shape),
}

_SEVERAL: dict[str, Callable[..., list[list[int]]]] = {
    "log_sigmoid_forward": lambda x: [list(x.shape), list(x.shape)],
    "native_layer_norm": lambda x, shape, *_: [list(x.shape), *[_statistics(x, shape)] * 2],
    "_fused_rms_norm": lambda x, shape, *_: [list(x.shape), _statistics(x, shape)],
}


def _statistics(x: Tensor, normalised: Sizes) -> list[int]:
    kept = x.dim() - len(normalised)
    return [*x.shape[:kept], *[1] * len(normalised)]
