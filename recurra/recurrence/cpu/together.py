"""Several loops side by side, each on its part of the threads: no thread waits for one of another loop."""

import ctypes
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any, NamedTuple

import llvmlite.ir as ir

from recurra.recurrence.cpu import pool
from recurra.recurrence.cpu.control import FunctionPointer, counted, open_function, share, smaller
from recurra.recurrence.cpu.execute import Outcome, Prepared, launches, run_alone
from recurra.recurrence.cpu.launch import Launch
from recurra.recurrence.cpu.machine import Code, compile_module, host
from recurra.recurrence.cpu.team import enter
from recurra.recurrence.cpu.vector import INT64, POINTER, Value, int64

LEAST = 1_000_000
"""Multiplications of a loop below which it has run before another thread has begun."""

MOST_ROWS, MOST_BYTES = 8, 5 << 18
"""Rows of the batch for each thread, and bytes of a loop's weights, above which two loops hinder each other: these have
to stay in one core's cache, of two mebibytes, beside what is read and written at each step."""


def side_by_side(jobs: Sequence[Prepared]) -> bool:
    """Whether these loops are faster side by side than one after the other.

    They are where threads of one loop would wait for each other at every step, or share few rows: if each has to read
    all weights, it may as well be those of another loop. There has to be about as much to do in each.
    """
    threads = pool.threads()
    if not 1 < len(jobs) <= threads:
        return False
    work = [job.compiled.work * prod(job.frame.sizes) for job in jobs]
    alike = LEAST <= max(work) <= 2 * min(work)
    return alike and all(
        job.frame.batch <= MOST_ROWS * threads and job.compiled.work * job.like.element_size() <= MOST_BYTES
        for job in jobs
    )


def execute_together(jobs: Sequence[Prepared]) -> list[Outcome]:
    """Run jobs that do not need each other's results: side by side where that is faster."""
    if not side_by_side(jobs):
        return [run_alone(job) for job in jobs]
    courses = [launches(job, len(jobs)) for job in jobs]
    found: dict[int, Outcome] = {}
    while len(found) < len(jobs):
        ready = []
        for number, course in enumerate(courses):
            if number not in found:
                try:
                    ready.append(next(course))
                except StopIteration as end:
                    found[number] = end.value
        _run(ready)
    return [found[number] for number in range(len(jobs))]


def _run(ready: Sequence[Launch]) -> None:
    if len(ready) == 1:
        ready[0].run()
    elif ready:
        words = [word for each in ready for word in (each.compiled.share, ctypes.addressof(each.words))]
        table = (ctypes.c_int64 * (1 + len(words)))(len(ready), *words)
        loops = _loops()
        pool.run(loops.function, loops.address, table, len(ready) * min(each.team for each in ready))


class _Loops(NamedTuple):
    """The compiled ``together(table*)``."""

    function: Any
    address: int
    code: Code


@cache
def _loops() -> _Loops:
    pool.pool()
    code = compile_module(_emit(), host(), optimise=False)
    address = code.address("together")
    return _Loops(ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address), address, code)


def _emit() -> ir.Module:
    """``together(table*)``, for each thread of a region: the table says how many loops there are, and of each where its
    function ``share`` is, and where its words. Fewer threads than loops take several each."""
    module = ir.Module("together")
    builder, (table,) = open_function(module, "together", "table*")
    me, size = enter(builder, module, int64(0), pool.pool() is not None)
    count = builder.load(table, typ=INT64)
    groups = smaller(builder, size, count)
    # the last group that begins with this thread, or before it
    group = builder.sdiv(builder.sub(builder.mul(builder.add(me, int64(1)), groups), int64(1)), size)
    first, end = (share(builder, size, part, groups) for part in (group, builder.add(group, int64(1))))
    mine = [builder.sub(me, first), builder.sub(end, first)]
    kind = FunctionPointer(ir.FunctionType(ir.VoidType(), [POINTER, INT64, INT64]))

    def loop(number: Value, _: list[Value]) -> list[Value]:
        places = [builder.add(builder.mul(number, int64(2)), int64(place)) for place in (1, 2)]
        function, words = (builder.gep(table, [place], source_etype=INT64) for place in places)
        builder.call(builder.load(function, typ=kind), [builder.load(words, typ=POINTER), *mine])
        return []

    counted(builder, group, count, groups, [], loop)
    builder.ret_void()
    return module
