"""Products with few rows, whose cost is reading the weights: these stay as torch keeps them, each read once."""

from functools import partial

import llvmlite.ir as ir

from recurra.recurrence.cpu.control import counted, each, open_function, product, whole
from recurra.recurrence.cpu.int8 import Widened
from recurra.recurrence.cpu.machine import BYTES
from recurra.recurrence.cpu.vector import DType, Value, Vectors, int64

TOGETHER = 8  # rows of weights that are read at the same time

LINE = 64
"""Bytes of a cache line. Rows of int8 are too short for the processor to fetch the next ones by itself in time."""

SIGNATURE = "a* lda rows w* ldw n k out* ldo accumulate"


def emit_dots(module: ir.Module, dtype: DType, lanes: int, int8: bool = False, abreast: int = 1) -> None:
    """``dots(a*, lda, rows, w*, ldw, n, k, out*, ldo, accumulate)``: products with the transpose of w.

    out[r * ldo + j] = (out or 0) + sum over k of a[r * lda + k] * w[j * ldw + k]. Lane l adds up the k = l, L + l,
    2 L + l …, and the lanes are added in halves: the bits depend neither on n nor on the other rows.

    Args:
        int8: whether w is of int8.
        abreast: rows of a for which w is read, and widened, once.
    """
    builder, (a, lda, rows, w, ldw, n, k, out, ldo, accumulate) = open_function(module, "dots", SIGNATURE)
    v, results = Vectors(builder, module, dtype, lanes), Vectors(builder, module, dtype, TOGETHER)
    matrix = Widened(v) if int8 else v
    going_on = builder.select(builder.icmp_signed("!=", accumulate, int64(0)), n, int64(0))
    most, last = whole(builder, k, lanes), builder.sub(n, int64(1))
    tail = v.first(builder.sub(k, most))

    def some(j: Value) -> None:
        # past the last row of w, that row again: its sums are not stored
        numbers = [builder.add(j, int64(i)) for i in range(TOGETHER)]
        numbers = [builder.select(builder.icmp_signed("<", i, last), i, last) for i in numbers]
        weights = [matrix.at(w, product(builder, i, ldw)) for i in numbers]
        ahead = matrix.at(w, product(builder, builder.add(j, int64(TOGETHER)), ldw))  # mostly, the next rows
        stored, added = (results.first(builder.sub(end, j)) for end in (n, going_on))

        def some_rows(count: int, first: Value) -> None:
            those = [builder.add(first, int64(i)) for i in range(count)]
            starts = [v.at(a, product(builder, r, lda)) for r in those]

            def added_up(xs: list[Value], values: list[Value], sums: list[Value]) -> list[Value]:
                pairs = [(x, value) for value in values for x in xs]
                return [v.fma(x, value, total) for (x, value), total in zip(pairs, sums, strict=True)]

            def step(index: Value, sums: list[Value]) -> list[Value]:
                xs = [v.load(start, index) for start in starts]
                for line in range(0, TOGETHER * lanes if int8 else 0, LINE):
                    v.prefetch(matrix.at(ahead, product(builder, index, TOGETHER)), line // BYTES[dtype])
                return added_up(xs, [matrix.load(weight, index) for weight in weights], sums)

            sums = counted(builder, 0, most, lanes, [v.constant(0.0)] * (TOGETHER * count), step)
            xs = [v.load_masked(start, most, tail) for start in starts]
            sums = added_up(xs, [matrix.load_masked(weight, most, tail) for weight in weights], sums)
            for number, r in enumerate(those):
                place = builder.add(product(builder, r, ldo), j)
                before = results.load_masked(out, place, added)
                results.store_masked(results.add(before, v.totals(sums[number::count])), out, place, stored)

        even = whole(builder, rows, abreast)
        each(builder, 0, even, abreast, partial(some_rows, abreast))
        if abreast > 1:
            each(builder, even, rows, 1, partial(some_rows, 1))

    each(builder, 0, n, TOGETHER, some)
    builder.ret_void()


def emit_columns(module: ir.Module, dtype: DType, lanes: int, int8: bool = False) -> None:
    """``columns(a*, lda, rows, w*, ldw, n, k, out*, ldo, accumulate)``: products with w as it is.

    out[r * ldo + j] = (out or 0) + sum over k of a[r * lda + k] * w[k * ldw + j], added strictly in the order of k:
    bit for bit what `tile.emit_tile` gives. Rows of w are read along, some together, and out is passed over again
    and again, so that memory is read in order.

    Args:
        int8: whether w is of int8.
    """
    builder, (a, lda, rows, w, ldw, n, k, out, ldo, accumulate) = open_function(module, "columns", SIGNATURE)
    v = Vectors(builder, module, dtype, lanes)
    matrix = Widened(v) if int8 else v
    most_columns = whole(builder, n, lanes)
    tail = v.first(builder.sub(n, most_columns))

    def clear(r: Value) -> None:
        row = v.at(out, product(builder, r, ldo))
        each(builder, 0, most_columns, lanes, lambda j: v.store(v.constant(0.0), row, j))
        v.store_masked(v.constant(0.0), row, most_columns, tail)

    def add(together: int, index: Value) -> None:
        numbers = [builder.add(index, int64(i)) for i in range(together)]
        weights = [matrix.at(w, product(builder, i, ldw)) for i in numbers]

        def one_row(r: Value) -> None:
            row, given = v.at(out, product(builder, r, ldo)), v.at(a, product(builder, r, lda))
            factors = [v.broadcast(v.load_scalar(given, i)) for i in numbers]

            def sum_up(total: Value, values: list[Value]) -> Value:
                for factor, value in zip(factors, values, strict=True):
                    total = v.fma(factor, value, total)
                return total

            def some(j: Value) -> None:
                v.store(sum_up(v.load(row, j), [matrix.load(weight, j) for weight in weights]), row, j)

            each(builder, 0, most_columns, lanes, some)
            ends = [matrix.load_masked(weight, most_columns, tail) for weight in weights]
            end = sum_up(v.load_masked(row, most_columns, tail), ends)
            v.store_masked(end, row, most_columns, tail)

        each(builder, 0, rows, 1, one_row)

    with builder.if_then(builder.icmp_signed("==", accumulate, int64(0))):
        each(builder, 0, rows, 1, clear)
    most = whole(builder, k, TOGETHER)
    each(builder, 0, most, TOGETHER, lambda index: add(TOGETHER, index))
    each(builder, most, k, 1, lambda index: add(1, index))
    builder.ret_void()
