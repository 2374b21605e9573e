"""Gradients of what stays the same from step to step, summed over all steps and rows after the loop."""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

from recurra.recurrence.batched import (
    Arguments,
    Series,
    added,
    at_every_step,
    exact,
    joined_columns,
    neighbours,
    product_of,
    summing_type,
)
from recurra.recurrence.program import Outer, Program, Read, Total


def collect_weights(
    program: Program, given: Arguments, series: Series, totals: Mapping[int, Tensor], bfloat16: bool
) -> dict[int, Tensor]:
    """The gradients of weights, by weight.

    Args:
        series: what is known at every step besides what is given.
        totals: for sums taken within the loop, by position, ``(B, width)``.
        bfloat16: whether products are of factors rounded to it.
    """
    terms = _outer_products(program, given, series, bfloat16)
    sums: dict[int, Tensor] = {}
    for position, item in enumerate(program.sums):
        if isinstance(item, Total) and item.kind == "weight":
            if item.operand not in sums:
                inside = totals.get(position)
                values = at_every_step(program, item.operand, given, series) if inside is None else inside
                sums[item.operand] = values.flatten(0, -2).sum(0, dtype=summing_type(values))
            whole = sums[item.operand]
            terms[position] = whole.sum(0, keepdim=True) if item.span.size == 1 else whole
    indices = {program.sums[position].index for position in terms}
    return {index: _assembled(program, index, terms, given.weights[index]) for index in sorted(indices)}


def _outer_products(program: Program, given: Arguments, series: Series, bfloat16: bool) -> dict[int, Tensor]:
    """The terms of outer products, by position: one product for all that share a right factor and lie side by side."""
    groups: defaultdict[int, dict[int, Tensor]] = defaultdict(dict)
    for position, item in enumerate(program.sums):
        if isinstance(item, Outer):
            groups[item.right][position] = at_every_step(program, item.left, given, series).flatten(0, 1)
    found: dict[int, Tensor] = {}
    for right, lefts in groups.items():
        for run in neighbours(lefts, lefts):
            joint = joined_columns([lefts[position] for position in run]) if len(run) > 1 else lefts[run[0]]
            result = exact(_times(program, joint.T, right, given, series, bfloat16))
            widths = [lefts[position].shape[1] for position in run]
            found |= dict(zip(run, result.split(widths), strict=True))
    return found


def _times(program: Program, left: Tensor, right: int, given: Arguments, series: Series, bfloat16: bool) -> Tensor:
    """The product with a factor at every step. A delayed one is not put together: its start is a product of its own."""
    node = program.nodes[right]
    if isinstance(node, Read) and node.kind == "sequence" and node.index in given.starts:
        start, later = given.starts[node.index], given.sequences[node.index][:-1].flatten(0, 1)
        return added(exact(left[:, : len(start)]) @ start, left[:, len(start) :], later, bfloat16)
    return product_of(left, at_every_step(program, right, given, series).flatten(0, 1), bfloat16)


def _assembled(program: Program, index: int, terms: Mapping[int, Tensor], weight: Tensor) -> Tensor:
    """The gradient of one weight from its terms, each of a block."""
    blocks = [(item, terms[position]) for position, item in enumerate(program.sums) if _is_of(item, index)]
    if len(blocks) == 1 and blocks[0][1].shape == weight.shape:
        return blocks[0][1]
    total = torch.zeros_like(weight)
    for item, term in blocks:
        spans = (item.rows, item.columns) if isinstance(item, Outer) else (item.span,)
        total[tuple(slice(span.start, span.start + span.size) for span in spans)] += term
    return total


def _is_of(item: Outer | Total, index: int) -> bool:
    return item.index == index and (isinstance(item, Outer) or item.kind == "weight")


def collect_rows(program: Program, series: Series, totals: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """The gradients of rows, by row; arguments as of `collect_weights`."""
    found: dict[int, Tensor] = {}
    for position, item in enumerate(program.sums):
        if isinstance(item, Total) and item.kind == "row":
            total = (
                totals[position]
                if position in totals
                else series[item.operand].sum(0, dtype=summing_type(series[item.operand]))
            )
            found[item.index] = found[item.index] + total if item.index in found else total
    return found
