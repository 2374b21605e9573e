"""Functions and counted loops in LLVM's IR."""

from collections.abc import Callable, Sequence

import llvmlite.ir as ir

from recurra.recurrence.cpu.vector import INT64, POINTER, Index, Value, int64


class FunctionPointer(ir.PointerType):
    """A pointer that llvmlite lets itself be called: it asks for the type of what is pointed to."""

    def __init__(self, pointee: ir.FunctionType) -> None:
        super().__init__()
        self.pointee = pointee


def open_function(module: ir.Module, name: str, signature: str) -> tuple[ir.IRBuilder, list[Value]]:
    """A function without result, ready to be filled; ``signature`` names its arguments, pointers with a star."""
    names = signature.split()
    kinds = [POINTER if name.endswith("*") else INT64 for name in names]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    for argument, given in zip(function.args, names, strict=True):
        argument.name = given.rstrip("*")
    return ir.IRBuilder(function.append_basic_block("enter")), list(function.args)


def counted(
    builder: ir.IRBuilder,
    start: Index,
    stop: Index,
    step: Index,
    carried: Sequence[Value],
    body: Callable[[Value, list[Value]], Sequence[Value]],
) -> list[Value]:
    """``for i in range(start, stop, step): carried = body(i, carried)``; the last ``carried``."""
    before, function = builder.block, builder.function
    head, inside, after = (function.append_basic_block(name) for name in ("loop", "inside", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    phis = [builder.phi(value.type) for value in (int64(start), *carried)]
    for phi, value in zip(phis, (int64(start), *carried), strict=True):
        phi.add_incoming(value, before)
    index, *values = phis
    builder.cbranch(builder.icmp_signed("<", index, int64(stop)), inside, after)
    builder.position_at_end(inside)
    results = (builder.add(index, int64(step)), *body(index, values))
    for phi, value in zip(phis, results, strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return values


def each(builder: ir.IRBuilder, start: Index, stop: Index, step: Index, body: Callable[[Value], None]) -> None:
    """``for i in range(start, stop, step): body(i)``."""

    def nothing_carried(index: Value, _: list[Value]) -> Sequence[Value]:
        body(index)
        return ()

    counted(builder, start, stop, step, (), nothing_carried)


def repeat(builder: ir.IRBuilder, begin: Index, end: Index, body: Callable[[Value], None]) -> None:
    """``for i in range(begin, end): body(i)``."""
    each(builder, begin, end, 1, body)


def if_so(
    builder: ir.IRBuilder, condition: Value, compute: Callable[[], Sequence[Value]], otherwise: Sequence[Value]
) -> list[Value]:
    """What ``compute`` gives where the condition holds, else what there is otherwise."""
    before = builder.block
    with builder.if_then(condition):
        found, there = compute(), builder.block
    phis = [builder.phi(value.type) for value in otherwise]
    for phi, value, other in zip(phis, found, otherwise, strict=True):
        phi.add_incoming(other, before)
        phi.add_incoming(value, there)
    return phis


def whole(builder: ir.IRBuilder, count: Value, step: int) -> Value:
    """The greatest multiple of ``step``, a power of two, that is not above ``count``."""
    return builder.and_(count, int64(-step))


def product(builder: ir.IRBuilder, a: Index, b: Index) -> Value:
    return builder.mul(int64(a), int64(b))


def smaller(builder: ir.IRBuilder, a: Index, b: Index) -> Value:
    return builder.select(builder.icmp_signed("<", int64(a), int64(b)), int64(a), int64(b))


def share(builder: ir.IRBuilder, count: Index, part: Value, parts: Value) -> Value:
    """Where the ``part``-th of equal ``parts`` of ``count`` things begins."""
    return builder.sdiv(builder.mul(int64(count), part), parts)
