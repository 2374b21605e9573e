"""Gradients of what stays the same from step to step, summed over all steps and rows after the loop."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recurra.recurrence.batched import (
    Arguments,
    Series,
    at_every_step,
    exact,
    joined_columns,
    neighbours,
    product_of,
)
from recurra.recurrence.cpu.outer import Rows, outer_products
from recurra.recurrence.packing import Packing, unpack
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
    terms, sums = _outer_products(program, given, series, bfloat16)
    for position, item in enumerate(program.sums):
        if isinstance(item, Total) and item.kind == "weight":
            if item.operand not in sums:
                inside = totals.get(position)
                values = at_every_step(program, item.operand, given, series) if inside is None else inside
                sums[item.operand] = exact(values.flatten(0, -2).sum(0))
            whole = sums[item.operand]
            terms[position] = whole.sum(0, keepdim=True) if item.span.size == 1 else whole
    indices = {program.sums[position].index for position in terms}
    return {index: _assembled(program, index, terms, given.weights[index]) for index in sorted(indices)}


def _outer_products(
    program: Program, given: Arguments, series: Series, bfloat16: bool
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """The terms of outer products, by position: left factors that lie side by side are taken together, and so are right
    factors that meet the same ones. Of left factors in bfloat16 also the sums, by node: products with one."""
    groups: defaultdict[int, dict[int, Tensor]] = defaultdict(dict)
    for position, item in enumerate(program.sums):
        if isinstance(item, Outer):
            groups[item.right][position] = at_every_step(program, item.left, given, series).flatten(0, -2)
    joint: defaultdict[tuple[int, ...], list[tuple[int, list[int]]]] = defaultdict(list)
    for right, lefts in groups.items():
        for run in neighbours(lefts, lefts):
            joint[tuple(program.sums[position].left for position in run)].append((right, run))  # type: ignore[union-attr]
    multiply = _rounded_products if bfloat16 else _exact_products
    found, sums = dict[int, Tensor](), dict[int, Tensor]()
    for nodes, pairs in joint.items():
        columns = [groups[pairs[0][0]][position] for position in pairs[0][1]]
        left = joined_columns(columns) if len(columns) > 1 else columns[0]
        factors = [_factor(program, right, given, series) for right, _ in pairs]
        widths = [each.shape[1] for each in columns]
        if left.dtype == torch.bfloat16:
            *results, whole = multiply(left, [*factors, Rows(torch.ones(1, 1, 1).expand(1, len(left), 1))])
            sums |= zip(nodes, whole.squeeze(1).split(widths), strict=True)
        else:
            results = multiply(left, factors)
        for (_, run), result in zip(pairs, results, strict=True):
            found |= zip(run, result.split(widths), strict=True)
    return found, sums


def _factor(program: Program, index: int, given: Arguments, series: Series) -> Rows:
    """A right factor as it lies in memory: a delayed one is not put together."""
    node = program.nodes[index]
    if isinstance(node, Read) and node.kind == "sequence" and node.index in given.starts:
        packing, sequence, start = given.packing, given.sequences[node.index], given.starts[node.index]
        return Rows(sequence, start) if packing is None else Rows(sequence.unsqueeze(0), start, packing.before)
    whole = at_every_step(program, index, given, series)
    return Rows(whole if given.packing is None else whole.unsqueeze(0))


def _rounded_products(left: Tensor, rights: list[Rows]) -> list[Tensor]:
    whole = [Rows(_contiguous_rows(series), _contiguous_rows(start), before) for series, start, before in rights]
    return outer_products(Rows(_contiguous_rows(left.unsqueeze(0))), whole)


def _contiguous_rows(rows: Tensor | None) -> Any:
    return rows if rows is None or rows.stride(-1) == 1 else rows.contiguous()


def _exact_products(left: Tensor, rights: list[Rows]) -> list[Tensor]:
    found = []
    for series, start, before in rights:
        if start is None:
            found.append(product_of(left.T, series.flatten(0, 1)))
        else:
            later = series[:-1].flatten(0, 1) if before is None else series[0].index_select(0, before)
            count = len(left) - len(later)
            found.append(torch.addmm(left[:count].T @ start[:count], left[count:].T, later))
    return found


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


def collect_rows(program: Program, given: Arguments, series: Series, totals: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """The gradients of rows, by row; arguments as of `collect_weights`."""
    found: dict[int, Tensor] = {}
    for position, item in enumerate(program.sums):
        if isinstance(item, Total) and item.kind == "row":
            if (total := totals.get(position)) is None:
                total = _over_steps(at_every_step(program, item.operand, given, series), given.packing)
            found[item.index] = found[item.index] + total if item.index in found else total
    return found


def _over_steps(series: Tensor, packing: Packing | None) -> Tensor:
    """The sum over the steps of each row."""
    if packing is None:
        return exact(series.sum(0))
    longest_first = Packing(packing.running, packing.batch)
    return exact(unpack(series, longest_first, packing.steps).sum(1))
