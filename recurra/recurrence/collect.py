"""Gradients of what stays the same from step to step, summed over all steps and rows after the loop."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

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
    stacked,
)
from recurra.recurrence.cpu.outer import Rows, outer_products
from recurra.recurrence.packing import Packing, unpack
from recurra.recurrence.program import Outer, Program, Read, Span, Total


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
    sums |= _sums(program, given, series, totals, sums.keys())
    for position, item in enumerate(program.sums):
        if isinstance(item, Total) and item.kind == "weight":
            whole = sums[item.operand]
            terms[position] = whole.sum(0, keepdim=True) if item.span.size == 1 else whole
    return {index: _assembled(how, terms, given.weights[index]) for index, how in assembling(program).items()}


class Assembling(NamedTuple):
    """How a weight's gradient is put together: the positions of its sums, in the order of its rows, the blocks that
    they are of, and whether these are all of it, one below the other."""

    positions: tuple[int, ...]
    blocks: tuple[tuple[Span, ...], ...]
    whole: bool


@lru_cache(maxsize=1024)
def assembling(program: Program) -> dict[int, Assembling]:
    """By weight."""
    found: defaultdict[int, list[tuple[tuple[Span, ...], int]]] = defaultdict(list)
    for position, item in enumerate(program.sums):
        if isinstance(item, Outer) or item.kind == "weight":
            found[item.index].append(((item.rows, item.columns) if isinstance(item, Outer) else (item.span,), position))
    how = {}
    for index, terms in sorted(found.items()):
        blocks, positions = zip(*sorted(terms), strict=True)
        length, *width = program.weights[index]
        starts = [*(rows.start for rows, *_ in blocks), length]
        ends = [0, *(rows.start + rows.size for rows, *_ in blocks)]
        across = all(size == columns.size for _, *spans in blocks for size, columns in zip(width, spans, strict=True))
        how[index] = Assembling(positions, blocks, starts == ends and across)
    return how


def _sums(
    program: Program, given: Arguments, series: Series, totals: Mapping[int, Tensor], others: Collection[int]
) -> dict[int, Tensor]:
    """The sums over steps and rows that vectors' gradients are of, by node; but not of the others. Columns that lie
    side by side are added up at once."""
    found, columns = dict[int, Tensor](), dict[int, Tensor]()
    for position, item in enumerate(program.sums):
        if isinstance(item, Outer) or item.kind != "weight" or item.operand in others:
            continue
        if position in totals:
            found[item.operand] = exact(totals[position].sum(0))
        elif item.operand not in columns:
            columns[item.operand] = at_every_step(program, item.operand, given, series).flatten(0, -2)
    for run in neighbours(columns, columns):
        together = joined_columns([columns[node] for node in run]) if len(run) > 1 else columns[run[0]]
        found |= zip(run, exact(together.sum(0)).split([columns[node].shape[1] for node in run]), strict=True)
    return found


class Meeting(NamedTuple):
    """Left factors that lie side by side, and the right ones that meet all of them, each with the positions of the sums
    that their products are."""

    lefts: tuple[int, ...]
    rights: list[tuple[int, list[int]]]


def meetings(program: Program, values: Mapping[int, Tensor]) -> list[Meeting]:
    """The outer products, as few as there can be.

    Args:
        values: of left factors at every step and row, by node.
    """
    groups: defaultdict[int, dict[int, Tensor]] = defaultdict(dict)
    for position, item in enumerate(program.sums):
        if isinstance(item, Outer):
            groups[item.right][position] = values[item.left]
    joint: defaultdict[tuple[int, ...], list[tuple[int, list[int]]]] = defaultdict(list)
    for right, lefts in groups.items():
        for run in neighbours(lefts, lefts):
            joint[tuple(program.sums[position].left for position in run)].append((right, run))  # type: ignore[union-attr]
    return [Meeting(*each) for each in joint.items()]


def _outer_products(
    program: Program, given: Arguments, series: Series, bfloat16: bool
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """The terms of outer products, by position: left factors that lie side by side are taken together, and so are right
    factors that meet the same ones. Of left factors in bfloat16 also the sums, by node: products with one."""
    lefts = {item.left for item in program.sums if isinstance(item, Outer)}
    values = {node: at_every_step(program, node, given, series).flatten(0, -2) for node in lefts}
    multiply = _rounded_products if bfloat16 else _exact_products
    found, sums = dict[int, Tensor](), dict[int, Tensor]()
    for nodes, rights in meetings(program, values):
        columns = [values[node] for node in nodes]
        left = joined_columns(columns) if len(columns) > 1 else columns[0]
        factors = [_factor(program, right, given, series) for right, _ in rights]
        widths = [each.shape[1] for each in columns]
        if left.dtype == torch.bfloat16:
            *results, whole = multiply(left, [*factors, Rows(torch.ones(1, 1, 1).expand(1, len(left), 1))])
            sums |= zip(nodes, whole.squeeze(1).split(widths), strict=True)
        else:
            results = multiply(left, factors)
        for (_, run), result in zip(rights, results, strict=True):
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
            found.append(product_of(left[count:].T, later).addmm_(left[:count].T, start[:count]))
    return found


def _assembled(how: Assembling, terms: Mapping[int, Tensor], weight: Tensor) -> Tensor:
    """The gradient of one weight from its terms."""
    own = [terms[position] for position in how.positions]
    # what is added up may be one number for all of a block
    if how.whole and all(term.shape[0] == rows.size for term, (rows, *_) in zip(own, how.blocks, strict=True)):
        return stacked(own)
    total = torch.zeros_like(weight)
    for spans, term in zip(how.blocks, own, strict=True):
        total[tuple(slice(span.start, span.start + span.size) for span in spans)] += term
    return total


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
