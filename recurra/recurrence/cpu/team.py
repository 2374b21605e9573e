"""The threads of one run, as generated code sees them: who am I, how many are we, and waiting for each other."""

from typing import NamedTuple

import llvmlite.ir as ir

from recurra.recurrence.cpu.vector import INT32, INT64, POINTER, Value, int64

SPINS = 4000
"""Looks at the barrier before a thread offers its core to others: some tens of microseconds."""

BARRIER_BYTES = 128
"""Two counters, each on a cache line of its own; all zero at the start."""


class Team(NamedTuple):
    """The threads that run a loop together."""

    me: Value
    size: Value


def enter(builder: ir.IRBuilder, module: ir.Module, alone: Value, pool: bool) -> Team:
    """The team of the region that OpenMP has opened; one thread where the caller is ``alone`` (has opened none).

    Args:
        pool: whether there is an OpenMP to ask. A name that nothing resolves would end the process.
    """
    if not pool:
        return Team(int64(0), int64(1))
    me = builder.zext(builder.call(_extern(module, "omp_get_thread_num", INT32, []), []), INT64)
    size = builder.zext(builder.call(_extern(module, "omp_get_num_threads", INT32, []), []), INT64)
    single = builder.icmp_signed("!=", alone, int64(0))
    return Team(builder.select(single, int64(0), me), builder.select(single, int64(1), size))


def emit_barrier(module: ir.Module) -> ir.Function:
    """``barrier(counters, size)``: returns when ``size`` threads have called it.

    A thread whose partners are late gives its core away: on a shared machine they may be waiting for just that core.
    """
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, INT64]), "barrier")
    function.linkage = "internal"
    function.attributes.add("noinline")
    counters, size = function.args
    blocks = [function.append_basic_block(name) for name in ("enter", "last", "spin", "pause", "give_way", "leave")]
    start, last, spin, pause, give_way, leave = blocks
    builder = ir.IRBuilder(start)
    generation = builder.gep(counters, [int64(BARRIER_BYTES // 16)], source_etype=INT64)
    now = builder.load_atomic(generation, "acquire", 8, typ=INT64)
    arrived = builder.atomic_rmw("add", counters, int64(1), "acq_rel")
    builder.cbranch(builder.icmp_signed("==", builder.add(arrived, int64(1)), size), last, spin)

    builder.position_at_end(last)
    builder.atomic_rmw("xchg", counters, int64(0), "monotonic")
    builder.atomic_rmw("xchg", generation, builder.add(now, int64(1)), "release")
    builder.branch(leave)

    builder.position_at_end(spin)
    looks = builder.phi(INT64)
    looks.add_incoming(int64(0), start)
    seen = builder.load_atomic(generation, "acquire", 8, typ=INT64)
    builder.cbranch(builder.icmp_signed("!=", seen, now), leave, pause)

    builder.position_at_end(pause)
    _pause(builder, module)
    more = builder.add(looks, int64(1))
    looks.add_incoming(more, pause)
    builder.cbranch(builder.icmp_signed("<", more, int64(SPINS)), spin, give_way)

    builder.position_at_end(give_way)
    builder.call(_extern(module, "sched_yield", INT32, []), [])
    looks.add_incoming(int64(SPINS - 1), give_way)
    builder.branch(spin)

    builder.position_at_end(leave)
    builder.ret_void()
    return function


def _pause(builder: ir.IRBuilder, module: ir.Module) -> None:
    """Tell the core that this is a waiting loop."""
    if "x86_64" in module.triple:
        builder.call(_extern(module, "llvm.x86.sse2.pause", ir.VoidType(), []), [])
    elif "aarch64" in module.triple or "arm64" in module.triple:
        builder.call(_extern(module, "llvm.aarch64.hint", ir.VoidType(), [INT32]), [ir.Constant(INT32, 1)])


def _extern(module: ir.Module, name: str, result: ir.Type, kinds: list[ir.Type]) -> ir.Function:
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, kinds), name)
