"""Which values are kept at every step in bfloat16 where products are of operands rounded to it: those that mostly go
into products, and what only the gradient reads. Half the bytes are half the time where memory is the limit."""

from recurra.recurrence.program import Product, Program, Read, Reduce, operands
from recurra.recurrence.schedule import Schedule


def narrow(schedule: Schedule, own: int | None = None, sequences: frozenset[int] = frozenset()) -> frozenset[int]:
    """The nodes of which the series are of bfloat16: hoisted products, what leaves the loop without being a result, and
    sequences that come so.

    What another part of the loop computes with stays as it is, unless in a product: whether a gradient is wanted does
    not change a result.

    Args:
        own: how many of the outputs are results; those that follow are remembered for the gradient. All by default.
        sequences: those that come in bfloat16.
    """
    program = schedule.program
    exact = {*program.outputs[:own], *program.next, *_reduced(program)}
    products = {node for node in schedule.entering if isinstance(program.nodes[node], Product)}
    groups = [group for stage in schedule.stages for group in stage.groups]
    read_elsewhere = {
        operand
        for group in groups
        for node in group.nodes
        for operand in operands(program.nodes[node])
        if operand not in group.nodes
    }
    left = {*schedule.leaving} - read_elsewhere
    return frozenset(((products | left) - exact) | {*_reads(program, sequences)})


def readable(program: Program, sequences: frozenset[int]) -> frozenset[int]:
    """Those of the sequences in bfloat16 that a loop reads as they are."""
    reduced = _reduced(program)
    return sequences - {index for index in sequences if {*_reads(program, frozenset((index,)))} & reduced}


def _reads(program: Program, sequences: frozenset[int]) -> list[int]:
    found = [(index, node) for index, node in enumerate(program.nodes) if isinstance(node, Read)]
    return [index for index, node in found if node.kind == "sequence" and node.index in sequences]


def _reduced(program: Program) -> set[int]:
    """Reductions and what they are taken of: the gradient of a maximum looks for the elements that are equal to it."""
    reduces = [(index, node) for index, node in enumerate(program.nodes) if isinstance(node, Reduce)]
    return {each for index, node in reduces for each in (index, node.operand)}
