"""The error of a softmax layer, in place of its logits: softmax less one at the target, and the loss of each row.

One pass of a row finds its maximum, one exponentials and their sum, one divides; the row stays in the cache meanwhile.
"""

import ctypes
from functools import lru_cache
from typing import Any, NamedTuple

import llvmlite.ir as ir
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recurra.recurrence.cpu import pool
from recurra.recurrence.cpu.control import counted, each, open_function, product, share, whole
from recurra.recurrence.cpu.machine import DTYPES, Code, DType, Machine, compile_module, host, lanes
from recurra.recurrence.cpu.team import enter
from recurra.recurrence.cpu.vector import INT64, POINTER, Value, Vectors, int64

TOGETHER = 4
"""Vectors that are taken at a time, so that their sums and maxima do not wait for each other."""

SMALLEST_SHARE = 100_000
"""Logits below which a second thread costs more than it saves."""


def takes(logits: Tensor) -> bool:
    """Whether these are of a device and type that there is code for."""
    known = logits.dtype in DTYPES or (logits.dtype == torch.bfloat16 and host().bfloat16 != "")
    return logits.device.type == "cpu" and known


def softmax_errors(
    logits: Float[Tensor, "N V"],
    bias: Float[Tensor, " V"],
    targets: Int[Tensor, " N"],
    total: Float[Tensor, " V"] | None,
) -> Float[Tensor, " N"]:
    """-log softmax(logits + bias)[target] of each row, in nats, in float32 at least.

    Args:
        logits: without the bias, contiguous; what is left in them is the gradient of a row's loss where there is a
            ``total``, else nothing of use. Logits in bfloat16 are computed with in float32.
        targets: from 0 to V - 1, which nobody checks here.
        total: to which the sum of these gradients over the rows is added.
    """
    rows, classes = logits.shape
    half = logits.dtype == torch.bfloat16
    wide = torch.float32 if half else logits.dtype
    compiled = _compiled(DTYPES[wide], half, host())
    team = pool.threads() if rows * classes >= SMALLEST_SHARE else 1
    losses, targets = logits.new_empty(rows, dtype=wide), targets.long().contiguous()
    own = logits.new_zeros(0 if total is None else team, classes, dtype=wide)
    numbers = logits.new_empty(team if half else 0, classes, dtype=wide)
    bias = bias.to(wide).contiguous()
    addresses = [each.data_ptr() for each in (logits, bias, targets, losses, own, numbers)]
    words = [int(team == 1), rows, classes, int(total is not None), *addresses]
    pool.run(compiled.function, compiled.address, (ctypes.c_int64 * len(words))(*words), team)
    if total is not None:
        total += own.sum(0)
    return losses


class _Compiled(NamedTuple):
    code: Code
    function: Any
    address: int


@lru_cache(maxsize=8)
def _compiled(dtype: DType, half: bool, machine: Machine) -> _Compiled:
    found = pool.pool()
    code = compile_module(_Emitter(dtype, half, machine, found is not None).module, machine, optimise=False)
    address = code.address("errors")
    return _Compiled(code, ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address), address)


class _Emitter:
    """Emits ``errors(words*)``: whether alone, rows, classes, whether there is a total; the addresses of logits, bias,
    targets and losses, of each thread's sums, and of its room for a row of exponentials."""

    def __init__(self, dtype: DType, half: bool, machine: Machine, pooled: bool) -> None:
        self.module, self.half = ir.Module("softmax"), half
        self.module.triple = machine.triple
        self.builder, (words,) = open_function(self.module, "errors", "words*")
        builder = self.builder
        width = lanes(machine, dtype)
        self.wide, self.one = (Vectors(builder, self.module, dtype, size, machine.estimates) for size in (width, 1))
        kinds = [INT64] * 4 + [POINTER] * 6
        places = (builder.gep(words, [int64(number)], source_etype=INT64) for number in range(len(kinds)))
        given = [builder.load(place, typ=kind) for place, kind in zip(places, kinds, strict=True)]
        alone, rows, self.classes, total, logits, self.bias, targets, losses, sums, numbers = given
        self.wanted = builder.icmp_signed("!=", total, int64(0))
        team = enter(builder, self.module, alone, pooled)
        own = product(builder, team.me, self.classes)
        self.sums, self.numbers = self.one.at(sums, own), self.one.at(numbers, own)
        begin, end = (share(builder, rows, part, team.size) for part in (team.me, builder.add(team.me, int64(1))))

        def row(index: Value) -> None:
            start = product(builder, index, self.classes)
            target = builder.load(builder.gep(targets, [index], source_etype=INT64), typ=INT64)
            place = self.one.half_at(logits, start) if half else self.one.at(logits, start)
            self.one.store(self._row(place, target), losses, index)

        each(builder, begin, end, 1, row)
        builder.ret_void()

    def _row(self, logits: Value, target: Value) -> Value:
        """The errors in the place of a row of logits, and its loss."""
        builder, one = self.builder, self.one
        numbers = self.numbers if self.half else logits
        chosen = self._logits(one, logits, target)
        highest = self._fold(
            lambda v, old, index: v.at_least(self._logits(v, logits, index), old), -float("inf"), "max"
        )

        def powers(v: Vectors, old: Value, index: Value) -> Value:
            power = v.exp(v.sub(self._logits(v, logits, index), v.broadcast(highest)))
            v.store(power, numbers, index)
            return v.add(old, power)

        sum_ = one.broadcast(self._fold(powers, 0.0, "sum"))
        with builder.if_then(self.wanted):
            factor = one.lane(one.div(one.constant(1.0), sum_), 0)

            def divide(v: Vectors, index: Value) -> None:
                chance = v.mul(v.load(numbers, index), v.broadcast(factor))
                v.store(v.add(v.load(self.sums, index), chance), self.sums, index)
                self._store(v, chance, logits, index)

            self._each(divide)
            less = one.constant(-1.0)
            chance = one.load(logits, target)
            if self.half:  # where it is rounded
                chance = one.mul(one.load(numbers, target), one.broadcast(factor))
            one.store(one.add(one.load(self.sums, target), less), self.sums, target)
            self._store(one, one.add(chance, less), logits, target)
        return one.add(one.log(sum_), one.sub(one.broadcast(highest), chosen))

    def _logits(self, v: Vectors, row: Value, index: Value) -> Value:
        products = v.load_half(v.half_at(row, index)) if self.half else v.load(row, index)
        return v.add(products, v.load(self.bias, index))

    def _store(self, v: Vectors, value: Value, row: Value, index: Value) -> None:
        if self.half:
            v.store_half(value, v.half_at(row, index))
        else:
            v.store(value, row, index)

    def _each(self, body: Any) -> None:
        """``body(vectors, index)`` over a row: vectors, and behind them single numbers."""
        most = whole(self.builder, self.classes, self.wide.lanes)
        each(self.builder, 0, most, self.wide.lanes, lambda index: body(self.wide, index))
        each(self.builder, most, self.classes, 1, lambda index: body(self.one, index))

    def _fold(self, body: Any, start: float, how: str) -> Value:
        """A number from ``body(vectors, old, index)`` over a row, by ``max`` or ``sum``."""
        builder, wide, one = self.builder, self.wide, self.one
        step = TOGETHER * wide.lanes
        many, most = whole(builder, self.classes, step), whole(builder, self.classes, wide.lanes)
        offsets = [int64(part * wide.lanes) for part in range(TOGETHER)]

        def some(index: Value, olds: list[Value]) -> list[Value]:
            return [body(wide, old, builder.add(index, offset)) for old, offset in zip(olds, offsets, strict=True)]

        olds = counted(builder, 0, many, step, [wide.constant(start)] * TOGETHER, some)
        join = {"max": wide.at_least, "sum": wide.add}[how]
        total = join(join(olds[0], olds[1]), join(olds[2], olds[3]))
        (total,) = counted(builder, many, most, wide.lanes, [total], lambda index, old: [body(wide, old[0], index)])
        single = one.broadcast({"max": wide.max, "sum": wide.sum}[how](total))
        (single,) = counted(builder, most, self.classes, 1, [single], lambda index, old: [body(one, old[0], index)])
        return one.lane(single, 0)
