"""ATen's operations that are not element by element: products, reductions over features, rearrangements.

Each takes a call's arguments, with tensors as views, and answers with the results' pieces.
"""

from collections.abc import Callable, Sequence
from math import inf, nan, prod
from typing import Any

import torch

from recurra.recurrence.blocks import MOST_PIECES, Dims, Memory, Piece, addresses
from recurra.recurrence.graph import Operand
from recurra.recurrence.record import NotFused, View

Pieces = list[Piece]


def _mapped(
    memory: Memory, function: Callable[..., Operand], shape: Sequence[int], *operands: View | float | int
) -> View:
    return memory.new(memory.map(function, operands, shape), shape)


def _pieces(memory: Memory, view: View) -> Pieces:
    return memory.pieces(view, view.shape)


# Products


def _batch_product(memory: Memory, a: View, b: View) -> Pieces:
    """``(n, p, q) @ (n, q, r)``, where one of them is the same for the whole batch."""
    if a.storage in memory.rows and b.storage in memory.rows:
        return _dot(memory, a, b)
    if b.storage in memory.rows:
        turned = (View(v.storage, v.offset, _turned(v.shape), _turned(v.strides), v.dtype) for v in (b, a))
        found = _batch_product(memory, *turned)
        # what is p in the product of the turned ones comes after r here, which only one of them may be more than
        if memory.batch not in (b.shape[2], a.shape[1]) and b.shape[2] > 1 and a.shape[1] > 1:
            raise NotFused("a matrix times a matrix of the batch interleaves their features")
        return found
    at = memory.batch_dimension(a.shape)
    if at is None or at == 2 or (at == 0 and a.shape[0] != memory.batch):
        raise NotFused("a product sums over the batch")
    (n, p, q), (s_n, s_p, s_q) = a.shape, a.strides
    inner = p // memory.batch if at == 1 else 1
    left = [(n, s_n), (inner, s_p)] if at == 1 else [(p, s_p)]
    batch_stride = s_p * inner if at == 1 else s_n
    places = addresses(a.offset, left)
    if len(places) > MOST_PIECES:
        raise NotFused(f"a product of {len(places)} vectors in each row of the batch")
    found = []
    for number, offset in enumerate(places):
        row = View(a.storage, int(offset), (memory.batch, q), (batch_stride, s_q), a.dtype)
        shift = number // inner * b.strides[0] if at == 1 else 0
        matrix = b._replace(offset=b.offset + shift)
        found += memory.product(_pieces(memory, row), matrix, (q, b.strides[1]), (b.shape[2], b.strides[2]))
    return found


def _turned(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return sizes[0], sizes[2], sizes[1]


def _dot(memory: Memory, a: View, b: View) -> Pieces:
    if a.shape[0] != memory.batch or a.shape[1] != 1 or b.shape[2] != 1:
        raise NotFused("a product of two matrices of which both change from row to row of the batch")
    one = View(a.storage, a.offset, (a.shape[0], a.shape[2]), (a.strides[0], a.strides[2]), a.dtype)
    two = View(b.storage, b.offset, b.shape[:2], b.strides[:2], b.dtype)
    return [Piece(memory.reduce("sum", memory.map(lambda x, y: x * y, (one, two), one.shape)), 1)]


def _matrix_product(memory: Memory, a: View, b: View) -> Pieces:
    first, second = (v._replace(shape=(1, *v.shape), strides=(0, *v.strides)) for v in (a, b))
    return _batch_product(memory, first, second)


def _vector_product(memory: Memory, a: View, b: View) -> Pieces:
    return _matrix_product(memory, a, b._replace(shape=(*b.shape, 1), strides=(*b.strides, 1)))


def _added(product: Callable[[Memory, View, View], Pieces], columns: int) -> Callable[..., Pieces]:
    def added(memory: Memory, bias: View, a: View, b: View, beta: float | int = 1, alpha: float | int = 1) -> Pieces:
        shape = (*a.shape[:-1], *b.shape[len(b.shape) - columns :])
        terms = product(memory, a, b), memory.pieces(bias, shape)
        return memory.together(lambda x, y: x * alpha + y * beta, terms)

    return added


def _linear(memory: Memory, x: View, weight: View, bias: View | None = None) -> Pieces:
    if len(x.shape) != 2:
        raise NotFused("a linear map of more than one vector in each row")
    turned = weight._replace(shape=weight.shape[::-1], strides=weight.strides[::-1])
    return _matrix_product(memory, x, turned) if bias is None else _added(_matrix_product, 1)(memory, bias, x, turned)


# Reductions


def _reduced(memory: Memory, operation: str, x: View, dims: Sequence[int] | int | None) -> View:
    """The "sum" or "max" over dimensions, which stay with size 1."""
    if x.storage not in memory.rows:
        x = memory.new(_pieces(memory, x), x.shape)
    gone = _dimensions(x, dims)
    at = memory.batch_dimension(x.shape)
    if at is None or at in gone:
        raise NotFused("the step reduces over the batch")
    inner = x.shape[at] // memory.batch
    batch_stride = x.strides[at] * inner
    sizes = [inner if dim == at else size for dim, size in enumerate(x.shape)]
    every = list(zip(sizes, x.strides, strict=True))
    kept = addresses(x.offset, [each for dim, each in enumerate(every) if dim not in gone])
    summed = addresses(0, [every[dim] for dim in sorted(gone)])
    if min(len(kept), len(summed)) > MOST_PIECES:
        raise NotFused(f"a reduction of {len(summed)} features for each of {len(kept)} others")

    def gathered(places: Any) -> Pieces:
        return memory.gathered(x.storage, memory.keys(x.storage, places, batch_stride))

    if len(kept) <= len(summed):
        pieces = [Piece(memory.reduce(operation, gathered(place + summed)), 1) for place in kept]
    else:
        pieces = gathered(kept + summed[0])
        for place in summed[1:]:
            name = "add" if operation == "sum" else "maximum"
            pieces = memory.together(lambda a, b, name=name: a.apply(name, b), (pieces, gathered(kept + place)))
    return memory.new(pieces, [1 if dim in gone else size for dim, size in enumerate(x.shape)])


def _dimensions(x: View, dims: Sequence[int] | int | None) -> set[int]:
    listed = [dims] if isinstance(dims, int) else dims
    return {dim % len(x.shape) for dim in listed} if listed else set(range(len(x.shape)))


def _count(x: View, dims: Sequence[int] | int | None) -> int:
    return prod(x.shape[dim] for dim in _dimensions(x, dims))


def _mean(memory: Memory, x: View, dims: Any) -> View:
    total = _reduced(memory, "sum", x, dims)
    return _mapped(memory, lambda a: a / _count(x, dims), total.shape, total)


def _centred(memory: Memory, x: View, dims: Any) -> View:
    return _mapped(memory, lambda a, mean: a - mean, x.shape, x, _mean(memory, x, dims))


def _variance(memory: Memory, x: View, dims: Any, correction: float | int = 1) -> View:
    squares = _mapped(memory, lambda a: a * a, x.shape, _centred(memory, x, dims))
    total = _reduced(memory, "sum", squares, dims)
    return _mapped(memory, lambda a: a / max(_count(x, dims) - correction, 0), total.shape, total)


def _largest(memory: Memory, x: View, dims: Any) -> View:
    return _reduced(memory, "max", x, dims)


def _smallest(memory: Memory, x: View, dims: Any) -> View:
    largest = _reduced(memory, "max", _mapped(memory, lambda a: -a, x.shape, x), dims)
    return _mapped(memory, lambda a: -a, largest.shape, largest)


def _exponentials(memory: Memory, x: View, dims: Any) -> tuple[View, View, View]:
    """x less its largest, the exponential of that, and its sum."""
    largest = _reduced(memory, "max", x, dims)
    shifted = _mapped(memory, lambda a, most: a - most.apply("detach"), x.shape, x, largest)
    exponential = _mapped(memory, lambda a: a.apply("exp"), x.shape, shifted)
    return shifted, exponential, _reduced(memory, "sum", exponential, dims)


def _softmax(memory: Memory, x: View, dim: int, half_to_float: bool = False) -> Pieces:
    _, exponential, total = _exponentials(memory, x, dim)
    return memory.map(lambda a, b: a / b, (exponential, total), x.shape)


def _log_softmax(memory: Memory, x: View, dim: int, half_to_float: bool = False) -> Pieces:
    shifted, _, total = _exponentials(memory, x, dim)
    return memory.map(lambda a, b: a - b.apply("log"), (shifted, total), x.shape)


def _logsumexp(memory: Memory, x: View, dims: Any, keepdim: bool = False) -> Pieces:
    _, _, total = _exponentials(memory, x, dims)
    largest = _reduced(memory, "max", x, dims)
    return memory.map(lambda a, b: a.apply("log") + b.apply("detach"), (total, largest), total.shape)


def _norm(
    memory: Memory, x: View, order: float | int = 2, dims: Any = None, keepdim: bool = False, dtype: Any = None
) -> Pieces:
    if order not in (1, 2, inf):
        raise NotFused(f"a norm of order {order}")
    powers = _mapped(memory, lambda a: a * a if order == 2 else a.apply("abs"), x.shape, x)
    total = _reduced(memory, "max" if order == inf else "sum", powers, dims)

    def root(a: Any) -> Any:  # its gradient at zero is zero
        zero = a.apply("eq", 0.0)
        return zero.apply("where", 0.0, zero.apply("where", 1.0, a).apply("sqrt"))

    return memory.map(root if order == 2 else lambda a: a, (total,), total.shape)


# Normalisations


def _affine(memory: Memory, x: View, weight: View | None, bias: View | None) -> Pieces:
    if weight is not None:
        x = _mapped(memory, lambda a, b: a * b, x.shape, x, weight)
    return memory.map(lambda a, b: a + b, (x, bias), x.shape) if bias is not None else _pieces(memory, x)


def _standardised(memory: Memory, x: View, dims: Any, epsilon: float) -> tuple[View, View]:
    variance = _variance(memory, x, dims, 0)
    scale = _mapped(memory, lambda a: (a + epsilon).apply("rsqrt"), variance.shape, variance)
    return _mapped(memory, lambda a, b: a * b, x.shape, _centred(memory, x, dims), scale), scale


def _layer_norm(memory: Memory, x: View, shape: Sequence[int], weight: Any, bias: Any, epsilon: float) -> list[Pieces]:
    dims = list(range(-len(shape), 0))
    normal, scale = _standardised(memory, x, dims, epsilon)
    mean = _mean(memory, x, dims)
    return [_affine(memory, normal, weight, bias), _pieces(memory, mean), _pieces(memory, scale)]


def _rms_norm(memory: Memory, x: View, shape: Sequence[int], weight: Any, epsilon: float | None) -> list[Pieces]:
    epsilon = torch.finfo(x.dtype).eps if epsilon is None else epsilon
    squares = _mapped(memory, lambda a: a * a, x.shape, x)
    mean = _mean(memory, squares, list(range(-len(shape), 0)))
    scale = _mapped(memory, lambda a: (a + epsilon).apply("rsqrt"), mean.shape, mean)
    normal = _mapped(memory, lambda a, b: a * b, x.shape, x, scale)
    return [_affine(memory, normal, weight, None), _pieces(memory, scale)]


def _group_norm(
    memory: Memory, x: View, weight: Any, bias: Any, rows: int, channels: int, size: int, groups: int, epsilon: float
) -> list[Pieces]:
    grouped = memory.new(_pieces(memory, x), (rows, groups, channels * size // groups))
    normal, scale = _standardised(memory, grouped, -1, epsilon)
    by_channel = memory.new(_pieces(memory, normal), (rows, channels, size))
    weight, bias = (v and v._replace(shape=(channels, 1), strides=(v.strides[0], 0)) for v in (weight, bias))
    mean = _mean(memory, grouped, -1)
    return [_affine(memory, by_channel, weight, bias), _pieces(memory, mean), _pieces(memory, scale)]


# Rearrangements


def _joined(memory: Memory, parts: list[View], before: Sequence[int]) -> Pieces:
    """Features of several tensors one after another, for each of the ``before`` outer features."""
    outer = prod(max(1, size // memory.batch) if size % memory.batch == 0 else size for size in before)
    rows = []
    for part in parts:
        if memory.batch_dimension(part.shape) is None:
            raise NotFused("the step joins rows of the batch")
        pieces = _pieces(memory, part)
        rows.append(memory.new(pieces, (memory.batch, outer, sum(piece.size for piece in pieces) // outer)))
    if outer * len(rows) > MOST_PIECES:
        raise NotFused("the step interleaves features")
    found = []
    for number in range(outer):
        for row in rows:
            size = row.shape[2]
            part = View(row.storage, number * size, (memory.batch, size), (outer * size, 1), row.dtype)
            found += _pieces(memory, part)
    return found


def _cat(memory: Memory, parts: list[View], dim: int = 0) -> Pieces:
    parts = [part for part in parts if part.shape != (0,)]
    dim %= len(parts[0].shape)
    if any(memory.batch_dimension(part.shape) == dim for part in parts):
        raise NotFused("the step joins rows of the batch")
    return _joined(memory, parts, parts[0].shape[:dim])


def _stack(memory: Memory, parts: list[View], dim: int = 0) -> Pieces:
    return _joined(memory, parts, parts[0].shape[: dim % (len(parts[0].shape) + 1)])


def _repeat(memory: Memory, x: View, times: Sequence[int]) -> Pieces:
    missing = len(times) - len(x.shape)
    dims: Dims = []
    for count, size, stride in zip(times, (1,) * missing + x.shape, (0,) * missing + x.strides, strict=True):
        if count > 1 and size == memory.batch:
            raise NotFused("the step repeats rows of the batch")
        dims += [(count, 0)] if size == 1 else [(size, stride)] if count == 1 else [(count, 0), (size, stride)]
    sizes, strides = zip(*dims, strict=True)
    return _pieces(memory, x._replace(shape=sizes, strides=strides))


def _gated(memory: Memory, x: View, dim: int = -1) -> Pieces:
    dim %= len(x.shape)
    half = x.shape[dim] // 2
    shape = (*x.shape[:dim], half, *x.shape[dim + 1 :])
    one = x._replace(shape=shape)
    two = one._replace(offset=x.offset + half * x.strides[dim])
    return memory.map(lambda a, b: a * b.apply("sigmoid"), (one, two), shape)


def _whole(reduction: Callable[..., View]) -> Callable[..., Pieces]:
    """A reduction as ATen calls it."""

    def reduced(memory: Memory, x: View, dims: Any = None, keepdim: bool = False, **_: Any) -> Pieces:
        return _pieces(memory, reduction(memory, x, dims))

    return reduced


def _var(
    memory: Memory, x: View, dims: Any = None, correction: float | int | None = None, keepdim: bool = False
) -> Pieces:
    return _pieces(memory, _variance(memory, x, dims, 1 if correction is None else correction))


def _std(
    memory: Memory, x: View, dims: Any = None, correction: float | int | None = None, keepdim: bool = False
) -> Pieces:
    variance = _variance(memory, x, dims, 1 if correction is None else correction)
    return memory.map(lambda a: a.apply("sqrt"), (variance,), variance.shape)


ROWWISE: dict[str, Callable[..., Pieces | list[Pieces]]] = {
    "mm": _matrix_product,
    "bmm": _batch_product,
    "mv": _vector_product,
    "linear": _linear,
    "addmm": _added(_matrix_product, 1),
    "baddbmm": _added(_batch_product, 1),
    "addmv": _added(_vector_product, 0),
    "sum": _whole(lambda memory, x, dims: _reduced(memory, "sum", x, dims)),
    "mean": _whole(_mean),
    "amax": _whole(_largest),
    "amin": _whole(_smallest),
    "max": _whole(_largest),
    "min": _whole(_smallest),
    "any": _whole(_largest),
    "all": _whole(_smallest),
    "var": _var,
    "std": _std,
    "var_mean": lambda memory, x, dims=None, **given: [_var(memory, x, dims, **given), _whole(_mean)(memory, x, dims)],
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "linalg_vector_norm": _norm,
    "native_layer_norm": _layer_norm,
    "_fused_rms_norm": _rms_norm,
    "native_group_norm": _group_norm,
    "cat": _cat,
    "stack": _stack,
    "repeat": _repeat,
    "glu": _gated,
}

FILLED: dict[str, Callable[..., float | int]] = {
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros", "zero"), lambda *_: 0.0),
    **dict.fromkeys(("ones", "ones_like", "new_ones"), lambda *_: 1.0),
    **dict.fromkeys(("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"), lambda *_: nan),
    "full": lambda sizes, value: value,
    "full_like": lambda x, value: value,
    "new_full": lambda x, sizes, value: value,
    "scalar_tensor": lambda value: value,
}
"""Tensors of one number: which, from the arguments of the call."""
