"""The register tile of a matrix product, and the packing of weights for it."""

from collections.abc import Callable
from typing import TypeAlias

import llvmlite.ir as ir

from recurra.recurrence.cpu.control import counted, each, open_function, product, whole
from recurra.recurrence.cpu.int8 import Widened
from recurra.recurrence.cpu.machine import BYTES, DType, Element
from recurra.recurrence.cpu.vector import Value, Vectors, int64

Times: TypeAlias = Callable[[Vectors, Value, Value, Value], Value]


def emit_tile(
    module: ir.Module,
    dtype: DType,
    lanes: int,
    vectors: int,
    rows: int,
    times: Times = Vectors.fma,
    int8: bool = False,
) -> None:
    """``tile(a*, lda, panel*, k, out*, ldo, accumulate, ahead*)``: ``rows`` rows by V vectors of L lanes.

    out[r * ldo + v * L + lane] = (out or 0) + sum over k of a[r * lda + k] * panel[(k * V + v) * L + lane],
    added strictly in the order of k, starting from out where ``accumulate`` is not 0. So neither the number of rows nor
    a cut of k into several calls changes a bit.

    While it computes, k vectors from ``ahead`` on are fetched into the second cache: there a later call will find its
    panel. They may lie anywhere.

    Args:
        times: adds a product to a sum.
        int8: whether the panel is of int8.
    """
    builder, (a, lda, panel, k, out, ldo, accumulate, ahead) = open_function(
        module, "tile", "a* lda panel* k out* ldo accumulate ahead*"
    )
    v = Vectors(builder, module, dtype, lanes)
    weights_of = Widened(v) if int8 else v
    starts = [v.at(a, product(builder, r, lda)) for r in range(rows)]
    places = [
        v.at(out, builder.add(product(builder, r, ldo), int64(i * lanes))) for r in range(rows) for i in range(vectors)
    ]
    sums = _begun(v, accumulate, places)

    def one(index: Value, sums: list[Value]) -> list[Value]:
        first = product(builder, index, vectors * lanes)
        weights = [weights_of.load(panel, builder.add(first, int64(i * lanes))) for i in range(vectors)]
        v.prefetch(ahead, product(builder, index, lanes))
        factors = [v.broadcast(v.load_scalar(start, index)) for start in starts]
        pairs = [(factor, weight) for factor in factors for weight in weights]
        return [times(v, factor, weight, total) for (factor, weight), total in zip(pairs, sums, strict=True)]

    # four times gains one row 8 %, but makes LLVM spill the sums of many rows on NEON
    unroll = 4 if rows == 1 else 2

    def several(index: Value, sums: list[Value]) -> list[Value]:
        for number in range(unroll):
            sums = one(builder.add(index, int64(number)), sums)
        return sums

    most = whole(builder, k, unroll)
    sums = counted(builder, 0, most, unroll, sums, several)
    sums = counted(builder, most, k, 1, sums, one)
    for total, place in zip(sums, places, strict=True):
        v.store(total, place)
    builder.ret_void()


def _begun(v: Vectors, accumulate: Value, places: list[Value]) -> list[Value]:
    """What the sums begin with; memory is read only where they go on, for it may be far away."""
    builder = v.builder
    before = builder.block
    with builder.if_then(builder.icmp_signed("!=", accumulate, int64(0))):
        found, there = [v.load(place) for place in places], builder.block
    sums = [builder.phi(v.vector) for _ in places]
    for total, value in zip(sums, found, strict=True):
        total.add_incoming(v.constant(0.0), before)
        total.add_incoming(value, there)
    return sums


def emit_pack(module: ir.Module, dtype: Element, lanes: int) -> None:
    """``pack(w*, stride_n, stride_k, k, panel*, V, v)``: the vectors ``v`` of a panel for `emit_tile`.

    panel[(k * V + v) * L + lane] = w[lane * stride_n + k * stride_k] for every k: whole vectors are copied where
    stride_n is 1, small blocks transposed in registers where stride_k is 1.
    """
    builder, (w, stride_n, stride_k, k, panel, count, which) = open_function(
        module, "pack", "w* stride_n stride_k k panel* count which"
    )
    v = Vectors(builder, module, dtype, lanes)
    panel = v.at(panel, product(builder, which, lanes))
    apart = product(builder, count, lanes)

    def copy(index: Value) -> None:
        v.store(v.load(w, product(builder, index, stride_k)), panel, product(builder, index, apart))

    def block(index: Value) -> None:
        for step, column in enumerate(transposed(v, w, stride_n, index)):
            v.store(column, panel, product(builder, builder.add(index, int64(step)), apart))

    def gather(index: Value) -> None:
        source, target = v.at(w, product(builder, index, stride_k)), v.at(panel, product(builder, index, apart))
        each(
            builder,
            0,
            lanes,
            1,
            lambda lane: v.store(v.load_scalar(source, product(builder, lane, stride_n)), target, lane),
        )

    with builder.if_else(builder.icmp_signed("==", stride_n, int64(1))) as (contiguous, strided):
        with contiguous:
            each(builder, 0, k, 1, copy)
        with strided:
            in_blocks = builder.icmp_signed("==", stride_k, int64(1))
            most = builder.select(in_blocks, whole(builder, k, block_size(v)), int64(0))
            each(builder, 0, most, block_size(v), block)
            each(builder, most, k, 1, gather)
    builder.ret_void()


def block_size(v: Vectors) -> int:
    """How many numbers of a row `transposed` takes: 16 bytes, within which shuffles are cheapest."""
    return min(16 // BYTES[v.dtype], v.lanes)


def transposed(v: Vectors, w: Value, stride: Value, index: Value) -> list[Value]:
    """The columns ``index`` and following of as many rows of ``w`` as a vector has lanes."""
    size = block_size(v)
    narrow = Vectors(v.builder, v.module, v.dtype, size)

    def every(first: int) -> Value:
        """The rows ``first``, ``first`` + size, … side by side."""
        places = [v.builder.add(product(v.builder, row, stride), index) for row in range(first, v.lanes, size)]
        return v.concatenate([narrow.load(w, place) for place in places])

    rows, distance = [every(first) for first in range(size)], size // 2
    while distance:  # blocks of so many numbers change places
        lower = [lane + (v.lanes - distance) * bool(lane & distance) for lane in range(v.lanes)]
        upper = [lane + distance for lane in lower]
        for a in range(size):
            if not a & distance:
                one, other = rows[a], rows[a + distance]
                rows[a], rows[a + distance] = v.shuffle(one, other, lower), v.shuffle(one, other, upper)
        distance //= 2
    return rows
