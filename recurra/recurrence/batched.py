"""What is computed for all steps at once, before the loop and after it, by torch's own products."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from recurra.recurrence.interpret import evaluate
from recurra.recurrence.program import Outer, Program, Read, Span, Total, ancestors, operands, uses
from recurra.recurrence.schedule import Schedule

Series = dict[int, Tensor]
"""Nodes' values at every step, ``(T, B, width)``."""


def compute_hoisted(
    schedule: Schedule, sequences: Sequence[Tensor], starts: Mapping[int, Tensor], weights: Sequence[Tensor]
) -> Series:
    """What the loop, or anything after it, reads of the hoisted nodes.

    Args:
        starts: for each delayed sequence what its first step reads.
    """
    program, inside = schedule.program, {*schedule.hoisted}
    readers = {operand for index, node in enumerate(program.nodes) if index not in inside for operand in operands(node)}
    wanted = inside & (readers | {*program.outputs} | {node for item in program.sums for node in uses(item)})
    if not wanted:
        return {}
    steps, batch = sequences[0].shape[:2]
    needed = ancestors(program, wanted)
    reads = {n: node for n, node in enumerate(program.nodes) if isinstance(node, Read) and n in needed}
    series = {n: _undelayed(sequences[node.index], starts.get(node.index)) for n, node in reads.items()}
    batch_first = all(each.transpose(0, 1).is_contiguous() for each in series.values())
    known = {
        node: (each.transpose(0, 1) if batch_first else each).reshape(steps * batch, -1)
        for node, each in series.items()
    }
    values = evaluate(program, wanted, known, weights)
    if batch_first:
        return {node: value.view(batch, steps, -1).transpose(0, 1) for node, value in values.items()}
    return {node: value.view(steps, batch, -1) for node, value in values.items()}


def compute_deferred(
    schedule: Schedule,
    sequences: Sequence[Tensor],
    starts: Mapping[int, Tensor],
    known: Series,
    weights: Sequence[Tensor],
) -> Series:
    """The outputs that no step waits for, and everything that gradients are sums of.

    Args:
        starts: for each delayed sequence what its first step reads.
        known: the hoisted nodes, and those that left the loop.
    """
    program = schedule.program
    steps, batch = (sequences[0] if sequences else next(iter(known.values()))).shape[:2]
    summed = [item for position, item in enumerate(program.sums) if position not in schedule.carried]
    wanted = {*program.outputs, *(node for item in summed for node in uses(item))}
    needed = wanted | {operand for node in schedule.deferred for operand in operands(program.nodes[node])}
    series = dict(known)
    for node in needed - known.keys():
        read = program.nodes[node]
        if isinstance(read, Read) and read.kind == "sequence":
            series[node] = _undelayed(sequences[read.index], starts.get(read.index))
    flat = {node: series[node].reshape(steps * batch, -1) for node in needed if node in series}
    values = evaluate(program, wanted, flat, weights)
    return {node: value.expand(steps * batch, -1).view(steps, batch, -1) for node, value in values.items()}


def _undelayed(sequence: Tensor, start: Tensor | None) -> Tensor:
    """What each step reads, in one tensor."""
    return sequence if start is None else torch.cat([start.unsqueeze(0), sequence[:-1]])


def collect(
    schedule: Schedule, values: Series, totals: Mapping[int, Tensor], weights: Sequence[Tensor]
) -> dict[int, Tensor]:
    """The gradients of weights, by weight.

    Args:
        values: what the sums are taken of, at every step.
        totals: for sums taken within the loop, by position, ``(B, width)``.
    """
    program = schedule.program
    found: dict[int, Tensor] = {}
    for position, item in enumerate(program.sums):
        if isinstance(item, Total) and item.kind == "row":
            continue
        weight = weights[item.index]
        if item.index not in found:
            found[item.index] = (torch.empty_like if _covers(program, item, weight) else torch.zeros_like)(weight)
        term = _term(item, values, totals.get(position))
        target = found[item.index][_ranges(item)]
        if _covers(program, item, weight):
            target.copy_(term)
        else:
            target.add_(term)
    return found


def _term(item: Outer | Total, values: Series, total: Tensor | None) -> Tensor:
    if isinstance(item, Outer):
        return values[item.left].flatten(0, 1).T @ values[item.right].flatten(0, 1)
    summed = (values[item.operand].flatten(0, 1) if total is None else total).sum(0)
    return summed.sum(0, keepdim=True) if item.span.size == 1 else summed


def _covers(program: Program, item: Outer | Total, weight: Tensor) -> bool:
    """Whether the sum is all of a weight's gradient."""
    alone = sum(other.index == item.index and not _of_row(other) for other in program.sums) == 1
    return alone and tuple(weight.shape) == _shape(item)


def _of_row(item: Outer | Total) -> bool:
    return isinstance(item, Total) and item.kind == "row"


def _shape(item: Outer | Total) -> tuple[int, ...]:
    return (item.rows.size, item.columns.size) if isinstance(item, Outer) else (item.span.size,)


def _ranges(item: Outer | Total) -> tuple[slice, ...]:
    spans = (item.rows, item.columns) if isinstance(item, Outer) else (item.span,)
    return tuple(_range(span) for span in spans)


def _range(span: Span) -> slice:
    return slice(span.start, span.start + span.size)
