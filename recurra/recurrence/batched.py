"""What is computed for all steps at once, before the loop and after it, by torch's own products.

Products are few and large: those of one operand are one product with stacked matrices, and a sum of products whose
operands lie side by side in memory is one product as well.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.cpu.room import room
from recurra.recurrence.interpret import evaluate
from recurra.recurrence.packing import Full, Packing
from recurra.recurrence.program import Outer, Product, Program, Read, Scalar, Span, Weight, ancestors, operands, uses
from recurra.recurrence.schedule import Schedule, merged_products

Series = dict[int, Tensor]
"""Nodes' values at every step, ``(T, B, width)``; of a ragged batch packed, ``(N, width)``."""


class Arguments(NamedTuple):
    """What a program runs on.

    Args:
        sequences: ``(T, B, width)``, with any strides.
        states: where the run begins, ``(B, width)``.
        rows: ``(B, width)``.
        weights: matrices and vectors.
        starts: for each delayed sequence what its first step reads, ``(B, width)``.
        packing: of a ragged batch; sequences are packed then, ``(N, width)``, and the longest rows come first.
    """

    sequences: Sequence[Tensor]
    states: Sequence[Tensor]
    rows: Sequence[Tensor]
    weights: Sequence[Tensor]
    starts: Mapping[int, Tensor] = MappingProxyType({})
    packing: Packing | None = None


def at_every_step(program: Program, index: int, given: Arguments, series: Series) -> Tensor:
    """The values of a node that is known outside the loop."""
    if index in series:
        return series[index]
    match program.nodes[index]:
        case Read(kind="sequence", index=number):
            sequence = given.sequences[number]
            return torch.cat(delayed(given, number)).view(sequence.shape) if number in given.starts else sequence
        case Read(kind="row", index=number) if given.packing is not None:
            return given.rows[number].index_select(0, given.packing.steps_and_rows[1])
        case Read(kind="row", index=number):
            return given.rows[number].expand(_sizes(given, series)[0], -1, -1)
        case Weight(index=number, span=span):
            return given.weights[number][_range(span)].expand(*_sizes(given, series), -1)
        case Scalar(value=value):
            like = next(iter([*given.sequences, *series.values()]))
            return like.new_full((1,), value, dtype=summing_type(like)).expand(*like.shape[:-1], -1)
        case node:
            raise ValueError(f"`{node}` is not known outside the loop")


def delayed(given: Arguments, number: int) -> tuple[Tensor, Tensor]:
    """What the first step of a delayed sequence reads, and what all later ones do, row by row."""
    start, sequence, packing = given.starts[number], given.sequences[number], given.packing
    if packing is None:
        return start, sequence[:-1].flatten(0, 1)
    return start[: packing.total - len(packing.before)], sequence.index_select(0, packing.before)


def _sizes(given: Arguments, series: Series) -> tuple[int, ...]:
    """T and B; of a ragged batch N."""
    return next(iter([*given.sequences, *series.values()])).shape[:-1]


class Joint(NamedTuple):
    """The products of one operand, taken as one: its results have these widths, and its matrix is these blocks, one
    below the other."""

    operand: int
    products: tuple[int, ...]
    widths: tuple[int, ...]
    blocks: tuple[Product, ...]


class Hoisting(NamedTuple):
    """How the hoisted nodes are computed: which ones are wanted, what is read, and the products."""

    wanted: frozenset[int]
    reads: tuple[int, ...]
    joints: tuple[Joint, ...]


@lru_cache(maxsize=1024)
def _hoisting(schedule: Schedule) -> Hoisting:
    program, inside = schedule.program, {*schedule.hoisted}
    readers = {operand for index, node in enumerate(program.nodes) if index not in inside for operand in operands(node)}
    readers |= {*schedule.entering}  # a state that is hoisted is computed in the loop too
    wanted = inside & (readers | {*program.outputs} | {node for item in program.sums for node in uses(item)})
    needed = ancestors(program, wanted)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for index in needed:
        if isinstance(node := program.nodes[index], Product):
            groups[node.operand].append(index)
    joints = []
    for operand, products in sorted(groups.items()):
        ordered = sorted(products, key=lambda index: _position(program, index))
        nodes = [_product(program, index) for index in ordered]
        widths = tuple(node.width for node in nodes)
        joints.append(Joint(operand, tuple(ordered), widths, _in_one_piece(nodes, transposed=False)))
    reads = tuple(node for node in needed if isinstance(program.nodes[node], Read))
    return Hoisting(frozenset(wanted), reads, tuple(joints))


def hoisted_matrices(schedule: Schedule, weights: Sequence[Tensor], bfloat16: bool) -> dict[int, Tensor]:
    """The matrices of all hoisted products of each operand, transposed; they serve any number of steps.

    Args:
        bfloat16: whether they are to be rounded to it.
    """
    found = {
        joint.operand: exact(stacked([matrix_of(block, weights) for block in joint.blocks])).T
        for joint in _hoisting(schedule).joints
    }
    return {operand: matrix.bfloat16() if bfloat16 else matrix for operand, matrix in found.items()}


def compute_hoisted(
    schedule: Schedule, given: Arguments, steps: int, matrices: Mapping[int, Tensor], halves: frozenset[int] | None
) -> Series:
    """What the loop, or anything after it, reads of the hoisted nodes, at ``steps`` steps.

    Args:
        matrices: of `hoisted_matrices`.
        halves: the nodes wanted in bfloat16, where products are of operands rounded to it; else None.
    """
    program, how = schedule.program, _hoisting(schedule)
    if not how.wanted:
        return {}
    series = {index: at_every_step(program, index, given, {}) for index in how.reads}
    frame = given.packing or Full(steps, next(iter([*given.states, *given.sequences])).shape[-2])
    batch_first = bool(series) and all(
        each.dim() == 3 and each.transpose(0, 1).is_contiguous() for each in series.values()
    )
    known = {node: each.transpose(0, 1) if batch_first else each for node, each in series.items()}
    sizes = frame.sizes[::-1] if batch_first else frame.sizes
    for operand, products, widths, _ in how.joints:
        if operand not in known:
            (value,) = evaluate(program, {operand}, _exact(known), given.weights).values()
            known[operand] = value.expand(*sizes, -1)  # a number by itself has no rows
        joint = product_of(known[operand].flatten(0, -2), matrices[operand], halves is not None)
        known |= zip(products, joint.view(*sizes, joint.shape[1]).split(widths, dim=-1), strict=True)
    halves = halves or frozenset()
    values = {index: known[index] for index in how.wanted if index in known}
    if len(values) < len(how.wanted):
        values |= evaluate(program, how.wanted - halves, _exact(known), given.weights)
    values = {index: value if index in halves else exact(value) for index, value in values.items()}
    values = {node: value if value.dim() > len(sizes) else value.expand(*sizes, -1) for node, value in values.items()}
    return {node: value.transpose(0, 1) for node, value in values.items()} if batch_first else values


@lru_cache(maxsize=1024)
def side_by_side(schedule: Schedule) -> list[int]:
    """The nodes to be left side by side in one tensor, in order: those of which sums of products are taken.

    Those that meet the same other factors are neighbours, so that one product serves them all, and stand in the order
    of the rows that they are gradients of, so that what the product gives is the gradient of a whole weight.
    """
    factors: defaultdict[int, set[int]] = defaultdict(set)
    rows: dict[int, tuple[int, int]] = {}
    for item in schedule.program.sums:
        if isinstance(item, Outer) and item.left in schedule.leaving:
            factors[item.left].add(item.right)
            rows[item.left] = min(rows.get(item.left, (item.index, item.rows.start)), (item.index, item.rows.start))
    return sorted(factors, key=lambda node: (min(factors[node]), max(factors[node]), rows[node], node))


class Deferring(NamedTuple):
    """How the deferred nodes are computed: which ones are wanted, what is read, and the sums of products."""

    wanted: frozenset[int]
    needed: frozenset[int]
    sums: tuple[tuple[int, tuple[int, ...]], ...]


@lru_cache(maxsize=1024)
def deferring(schedule: Schedule) -> Deferring:
    program, later = schedule.program, {*schedule.deferred}
    wanted = later & ({*program.outputs} | {node for item in program.sums for node in uses(item)})
    needed = {operand for node in later for operand in operands(program.nodes[node])} - later
    sums = merged_products(program, later, wanted)
    return Deferring(frozenset(wanted), frozenset(needed), tuple(sorted(sums.items())))


def compute_deferred(schedule: Schedule, given: Arguments, known: Series, bfloat16: bool) -> Series:
    """The outputs that no step waits for, and what else is needed of the deferred nodes.

    Args:
        known: the hoisted nodes, and those that left the loop.
        bfloat16: whether products are of operands rounded to it.
    """
    program, how = schedule.program, deferring(schedule)
    reads = [node for node in how.needed if node in known or isinstance(program.nodes[node], Read)]
    flat = {node: at_every_step(program, node, given, known).flatten(0, -2) for node in reads}
    sizes = _sizes(given, known)
    count = prod(sizes)
    for node, parts in how.sums:
        missing = {_product(program, part).operand for part in parts} - flat.keys()
        found = evaluate(program, missing, _exact(flat), given.weights) if missing else {}
        flat |= {operand: value.expand(count, -1) for operand, value in found.items()}
        flat[node] = _sum_of_products(program, parts, flat, given.weights, bfloat16)
    values = {index: flat[index] for index in how.wanted if index in flat}
    if len(values) < len(how.wanted):
        values = evaluate(program, how.wanted, _exact(flat), given.weights)
    return {node: value.expand(count, -1).unflatten(0, sizes) for node, value in values.items()}


def _sum_of_products(
    program: Program, parts: Sequence[int], flat: Mapping[int, Tensor], weights: Sequence[Tensor], bfloat16: bool
) -> Tensor:
    """One product for each run of operands that lie side by side."""
    operand = {part: flat[_product(program, part).operand] for part in parts}
    total: Tensor | None = None
    for run in neighbours(parts, operand):
        joint = joined_columns([operand[part] for part in run])
        matrix = stacked([exact(matrix_of(block, weights)).T for block in adjoining(program, tuple(run))])
        total = exact(product_of(joint, matrix, bfloat16)) if total is None else _added(total, joint, matrix, bfloat16)
    assert total is not None
    return total


def neighbours(items: Iterable[int], values: Mapping[int, Tensor]) -> Iterator[list[int]]:
    """The items in runs whose values, columns of one tensor, follow on each other."""
    run: list[int] = []
    for item in sorted(items, key=lambda item: (values[item].untyped_storage().data_ptr(), values[item].data_ptr())):
        if run and not _follows(values[run[-1]], values[item]):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def _follows(left: Tensor, right: Tensor) -> bool:
    same = left.untyped_storage().data_ptr() == right.untyped_storage().data_ptr()
    next_to = left.storage_offset() + left.shape[1] == right.storage_offset()
    return same and next_to and left.stride() == right.stride() and left.stride(0) > left.shape[1]


def joined_columns(run: list[Tensor]) -> Tensor:
    """One tensor of the columns of neighbours."""
    first, width = run[0], sum(each.shape[1] for each in run)
    return first.as_strided((first.shape[0], width), first.stride(), first.storage_offset())


def product_of(left: Tensor, right: Tensor, bfloat16: bool = False) -> Tensor:
    """Of two matrices; where both are first to be rounded to bfloat16, in that type."""
    if bfloat16:
        left, right = left.bfloat16(), right.bfloat16()
    return torch.mm(left, right, out=room(left, left.shape[0], right.shape[1]))


def _added(total: Tensor, left: Tensor, right: Tensor, bfloat16: bool) -> Tensor:
    """``total`` and the product of two matrices, in place."""
    return total.add_(product_of(left, right, bfloat16)) if bfloat16 else total.addmm_(left, right)


def exact(value: Tensor) -> Tensor:
    """The numbers of a series or matrix as they are computed with."""
    return value.float() if value.dtype in (torch.bfloat16, torch.int8) else value


def summing_type(value: Tensor) -> torch.dtype:
    """In which the numbers of a series are added up."""
    return torch.float32 if value.dtype == torch.bfloat16 else value.dtype


def _exact(values: Mapping[int, Tensor]) -> dict[int, Tensor]:
    return {index: exact(value) for index, value in values.items()}


def _product(program: Program, index: int) -> Product:
    node = program.nodes[index]
    assert isinstance(node, Product)
    return node


def _position(program: Program, index: int) -> tuple[int, int, int]:
    node = _product(program, index)
    return node.index, node.rows.start, node.columns.start


def matrix_of(node: Product, weights: Sequence[Tensor]) -> Tensor:
    """A product's matrix, results by operands."""
    weight = weights[node.index]
    whole = (node.rows.size, node.columns.size) == weight.shape
    block = weight if whole else weight[_range(node.rows), _range(node.columns)]
    return block.T if node.transposed else block


@lru_cache(maxsize=1024)
def adjoining(program: Program, products: tuple[int, ...]) -> tuple[Product, ...]:
    """Products whose matrices stand side by side, as few as there can be."""
    return _in_one_piece([_product(program, index) for index in products], transposed=True)


def _in_one_piece(products: Sequence[Product], *, transposed: bool) -> tuple[Product, ...]:
    """Products whose matrices stand below each other, where they are ``transposed`` side by side, with one in the place
    of those that are neighbours in the rows of a weight."""
    found: list[Product] = []
    for node in products:
        last = found[-1] if found else node
        after = last.rows.start + last.rows.size == node.rows.start
        if after and (last.index, last.columns, last.transposed) == (node.index, node.columns, transposed):
            found[-1] = replace(last, rows=Span(last.rows.start, last.rows.size + node.rows.size))
        else:
            found.append(node)
    return tuple(found)


def stacked(blocks: Sequence[Tensor]) -> Tensor:
    """Tensors one below the other, not copied where that is how they lie in memory."""
    first, height = blocks[0], 0
    if len(blocks) == 1:
        return first
    stride, end, memory = first.stride(), first.data_ptr(), first.untyped_storage().data_ptr()
    for block in blocks:
        # some allocators put tensors that have nothing to do with each other side by side
        together = block.data_ptr() == end and block.untyped_storage().data_ptr() == memory
        if not together or block.stride() != stride:
            return torch.cat(list(blocks))
        rows = block.shape[0]  # len takes ten times as long
        height += rows
        end += rows * stride[0] * block.element_size()
    return first.as_strided((height, *first.shape[1:]), stride, first.storage_offset())


def _range(span: Span) -> slice:
    return slice(span.start, span.start + span.size)
