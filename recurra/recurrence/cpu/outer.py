"""Gradients of weights: sums of outer products over all rows and steps, of factors rounded to bfloat16.

The factors are read where they lie, each row by its own address; what torch would first copy, round and transpose goes
straight into the places from which the product kernel takes it.
"""

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import llvmlite.ir as ir
import torch
from torch import Tensor

from recurra.recurrence.cpu import pool
from recurra.recurrence.cpu.control import each, open_function, product, repeat, share, smaller
from recurra.recurrence.cpu.machine import Code, Machine, compile_module, host
from recurra.recurrence.cpu.pairs import GRAIN, rounded
from recurra.recurrence.cpu.products import Kernels, declare, kernels
from recurra.recurrence.cpu.room import room
from recurra.recurrence.cpu.team import BARRIER_BYTES, emit_barrier, enter
from recurra.recurrence.cpu.tile import block_size, transposed
from recurra.recurrence.cpu.vector import INT64, POINTER, Value, Vectors, int64

LANES = 16
VECTORS = 4
"""Of a block of the left factor's columns."""

CHUNK = 256
"""Pairs of rows that are multiplied at a time: what both factors have of them stays in the cache."""


class Rows(NamedTuple):
    """A factor ``(T, B, width)`` of which every row lies somewhere; of a delayed one, ``start`` is the first step's,
    and where rows are packed, ``(1, N, width)``, ``before`` says which of them the later ones are."""

    series: Tensor
    start: Tensor | None = None
    before: Tensor | None = None

    @property
    def width(self) -> int:
        return self.series.shape[2]

    def addresses(self) -> Tensor:
        """Of every row, in order."""
        found = _addresses(self.series)
        if self.start is None:
            return found
        later = found[: -self.series.shape[1]] if self.before is None else found[self.before]
        return torch.cat([_addresses(self.start)[: len(found) - len(later)], later])


def outer_products(left: Rows, rights: Sequence[Rows]) -> list[Tensor]:
    """For each of ``rights`` the sum over all rows of left times right, ``(left's width, right's width)``."""
    halves = tuple(each.series.dtype == torch.bfloat16 for each in (left, *rights))
    compiled = _compiled(halves, host())
    count = left.series.shape[0] * left.series.shape[1]
    like = torch.empty(0)
    zero = torch.zeros(max(each.width for each in (left, *rights)))
    tables = [_filled(each.addresses(), zero) for each in (left, *rights)]
    heights = [_up(each.width, LANES) for each in rights]
    height = _up(sum(heights), compiled.run)
    chunk = min(CHUNK, _up(-(-count // 2), GRAIN))
    team = pool.threads()
    blocks = -(-left.width // (LANES * VECTORS))
    memory = [
        torch.zeros(BARRIER_BYTES // 8, dtype=torch.int64),
        room(like, height * (chunk + GRAIN)),
        room(like, team * (chunk * VECTORS * LANES + LANES * LANES)),
        room(like, blocks * height * VECTORS * LANES),
    ]
    results = [torch.empty(left.width, each.width) for each in rights]
    words = [int(team == 1), -(-count // 2), chunk, height, *(each.data_ptr() for each in memory)]
    words += [tables[0].data_ptr(), left.width]
    for table, right, result in zip(tables[1:], rights, results, strict=True):
        words += [table.data_ptr(), right.width, result.data_ptr()]
    pool.run(compiled.function, compiled.address, (ctypes.c_int64 * len(words))(*words), team)
    return results


def _addresses(rows: Tensor) -> Tensor:
    """Of each row of ``(…, width)``, whose last dimension is contiguous."""
    *sizes, _ = rows.shape
    *strides, _ = rows.stride()
    return (_offsets(tuple(sizes), tuple(strides)) * rows.element_size()).add_(rows.data_ptr())


@lru_cache(maxsize=256)
def _offsets(sizes: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
    found = torch.zeros(1, dtype=torch.int64)
    for size, stride in zip(sizes, strides, strict=True):
        found = (found.unsqueeze(1) + torch.arange(size) * stride).flatten()
    return found


def _filled(addresses: Tensor, zero: Tensor) -> Tensor:
    """The addresses, and after them those of a row of zeros, up to whole tiles."""
    missing = _up(len(addresses), 2 * GRAIN) - len(addresses)
    return torch.cat([addresses, addresses.new_full((missing,), zero.data_ptr())]) if missing else addresses


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


class Compiled(NamedTuple):
    code: Code
    function: Any
    address: int
    run: int


@lru_cache(maxsize=64)
def _compiled(halves: tuple[bool, ...], machine: Machine) -> Compiled:
    pool.pool()
    made = kernels(machine, "float32", pairs=True)
    run = made.rows_limit(VECTORS)
    code = compile_module(_Generator(halves, machine, made, run).module, machine, optimise=False)
    address = code.address("outer")
    return Compiled(code, ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address), address, run)


class _Factor:
    """The rows of a factor in generated code, and the pairs that two of them make."""

    def __init__(self, v: Vectors, table: Value, width: Value, half: bool) -> None:
        self.v, self.table, self.width, self.half = v, table, width, half

    def pairs(self, pair: Value, first: Value) -> Value:
        """Sixteen columns from ``first`` on of the rows 2 ``pair`` and the next, next to each other; zeros behind the
        last column."""
        v, builder = self.v, self.v.builder
        mask = v.first(builder.sub(self.width, first))
        rows = [builder.add(builder.shl(pair, int64(1)), int64(turn)) for turn in (0, 1)]
        places = [builder.load(builder.gep(self.table, [row], source_etype=INT64), typ=POINTER) for row in rows]
        woven = [lane // 2 + v.lanes * (lane % 2) for lane in range(2 * v.lanes)]
        if self.half:
            kind = ir.VectorType(ir.IntType(16), v.lanes)
            load = v.declare(f"llvm.masked.load.v{v.lanes}i16.p0", kind, [POINTER, ir.IntType(32), mask.type, kind])
            nothing, align = ir.Constant(kind, None), ir.Constant(ir.IntType(32), 2)
            low, high = (builder.call(load, [v.half_at(place, first), align, mask, nothing]) for place in places)
            return builder.bitcast(v.shuffle(low, high, woven), v.vector)
        both = rounded(v, *(v.load_masked(place, first, mask) for place in places))
        return builder.bitcast(v.shuffle(both, both, woven), v.vector)


def _emit_turn(module: ir.Module) -> ir.Function:
    """``turn(from*, lda, to*, ldb, rows, columns)``: sixteen rows of sixteen, transposed; of what comes out, so many
    rows and columns are stored."""
    builder, (source, lda, target, ldb, rows, columns) = open_function(module, "turn", "from* lda to* ldb rows columns")
    builder.function.linkage = "internal"
    builder.function.attributes.add("noinline")
    v = Vectors(builder, module, "float32", LANES)
    mask, size = v.first(columns), block_size(v)
    for index in range(0, LANES, size):
        for number, row in enumerate(transposed(v, source, lda, int64(index)), index):
            with builder.if_then(builder.icmp_signed("<", int64(number), rows)):
                v.store_masked(row, target, product(builder, ldb, number), mask)
    builder.ret_void()
    return builder.function


class _Generator:
    """``outer(words*)``, in this order: whether alone; pairs of rows, and of a chunk; rows of the right factors
    together; the barrier, the right factors' memory, each thread's for left factors, sums; the left factor's rows and
    width; each right factor's rows, width and result."""

    def __init__(self, halves: tuple[bool, ...], machine: Machine, made: Kernels, run: int) -> None:
        self.module = ir.Module("outer")
        self.module.triple = machine.triple
        self.made, self.run = made, run
        self.barrier, self.turn = emit_barrier(self.module), _emit_turn(self.module)
        self.builder, (words,) = open_function(self.module, "outer", "words*")
        builder = self.builder
        self.v = v = Vectors(builder, self.module, "float32", LANES)
        numbers = iter(range(8 + 2 + 3 * len(halves)))

        def take(kind: ir.Type) -> Value:
            return builder.load(builder.gep(words, [int64(next(numbers))], source_etype=INT64), typ=kind)

        alone, self.pairs, self.chunk, self.height = (take(INT64) for _ in range(4))
        self.counters, self.tall, self.own, self.sums = (take(POINTER) for _ in range(4))
        self.team = enter(builder, self.module, alone, pool.pool() is not None)
        self.left = _Factor(v, take(POINTER), take(INT64), halves[0])
        self.rights, self.results = [], []
        for half in halves[1:]:
            self.rights.append(_Factor(v, take(POINTER), take(INT64), half))
            self.results.append(take(POINTER))
        size = builder.add(product(builder, self.chunk, VECTORS * LANES), int64(LANES * LANES))
        self.own = v.at(self.own, builder.mul(self.team.me, size))
        self.square = v.at(self.own, product(builder, self.chunk, VECTORS * LANES))
        self.stride = builder.add(self.chunk, int64(GRAIN))
        self._emit()
        builder.ret_void()

    def _emit(self) -> None:
        builder = self.builder
        blocks = self._over(self.left.width, VECTORS * LANES)
        following = builder.add(self.team.me, int64(1))
        begin, end = (share(builder, blocks, part, self.team.size) for part in (self.team.me, following))

        def chunk(index: Value) -> None:
            first = builder.mul(index, self.chunk)
            rest = smaller(builder, builder.sub(self.pairs, first), self.chunk)
            depth = product(builder, self._over(rest, GRAIN), GRAIN)
            self._wait()
            self._put_rights(first, depth)
            self._wait()
            repeat(builder, begin, end, lambda block: self._block(block, first, depth))

        repeat(builder, 0, builder.sdiv(builder.add(self.pairs, builder.sub(self.chunk, int64(1))), self.chunk), chunk)
        repeat(builder, begin, end, self._leave)

    def _over(self, number: Value, step: int) -> Value:
        return self.builder.sdiv(self.builder.add(number, int64(step - 1)), int64(step))

    def _wait(self) -> None:
        with self.builder.if_then(self.builder.icmp_signed(">", self.team.size, int64(1))):
            self.builder.call(self.barrier, [self.counters, self.team.size])

    def _put_rights(self, first: Value, depth: Value) -> None:
        """This thread's share of the right factors, transposed: each column's pairs in a row."""
        builder, v = self.builder, self.v
        base: Value = int64(0)
        for right in self.rights:
            blocks, start = self._over(right.width, LANES), base
            following = builder.add(self.team.me, int64(1))
            begin, end = (share(builder, blocks, part, self.team.size) for part in (self.team.me, following))

            def columns(block: Value, right: _Factor = right, start: Value = start) -> None:
                unit = product(builder, block, LANES)
                place = v.at(self.tall, builder.mul(builder.add(start, unit), self.stride))

                def grain(index: Value) -> None:
                    def put(number: Value) -> None:
                        found = right.pairs(builder.add(builder.add(first, index), number), unit)
                        v.store(found, self.square, product(builder, number, LANES))

                    repeat(builder, 0, GRAIN, put)
                    every = int64(LANES)
                    builder.call(self.turn, [self.square, every, v.at(place, index), self.stride, every, every])

                each(builder, 0, depth, GRAIN, grain)

            repeat(builder, begin, end, columns)
            base = builder.add(base, product(builder, blocks, LANES))

    def _block(self, block: Value, first: Value, depth: Value) -> None:
        """One block of the left factor's columns, with all of the right factors'."""
        builder, v = self.builder, self.v
        unit = product(builder, block, VECTORS * LANES)

        def pair(index: Value) -> None:
            for vector in range(VECTORS):
                found = self.left.pairs(builder.add(first, index), builder.add(unit, int64(vector * LANES)))
                v.store(found, self.own, builder.add(product(builder, index, VECTORS * LANES), int64(vector * LANES)))

        repeat(builder, 0, depth, pair)
        kinds = [POINTER, INT64, POINTER, INT64, POINTER, INT64, INT64, POINTER]
        tile = declare(self.module, "float32", self.made.tile(VECTORS, self.run), kinds)
        more = builder.zext(builder.icmp_signed(">", first, int64(0)), INT64)

        def run(index: Value) -> None:
            row = product(builder, index, self.run)
            a, out = v.at(self.tall, builder.mul(row, self.stride)), self._sums(block, row)
            given = [a, self.stride, self.own, depth, out, int64(VECTORS * LANES), more, self.own]
            builder.call(tile, given)

        repeat(builder, 0, builder.sdiv(self.height, int64(self.run)), run)

    def _sums(self, block: Value, row: Value) -> Value:
        place = self.builder.add(self.builder.mul(block, self.height), row)
        return self.v.at(self.sums, product(self.builder, place, VECTORS * LANES))

    def _leave(self, block: Value) -> None:
        """The sums of a block, transposed, into the results."""
        builder, v = self.builder, self.v
        base: Value = int64(0)
        for right, result in zip(self.rights, self.results, strict=True):
            blocks, start = self._over(right.width, LANES), base

            def columns(index: Value, right: _Factor = right, result: Value = result, start: Value = start) -> None:
                unit = product(builder, index, LANES)
                square, there = self._sums(block, builder.add(start, unit)), builder.sub(right.width, unit)

                def turn(vector: Value) -> None:
                    column = product(builder, vector, LANES)
                    row = builder.add(product(builder, block, VECTORS * LANES), column)
                    place = v.at(result, builder.add(builder.mul(row, right.width), unit))
                    rows = builder.sub(self.left.width, row)
                    given = [v.at(square, column), int64(VECTORS * LANES), place, right.width, rows, there]
                    builder.call(self.turn, given)

                repeat(builder, 0, VECTORS, turn)

            repeat(builder, 0, blocks, columns)
            base = builder.add(base, product(builder, blocks, LANES))
