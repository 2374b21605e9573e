"""What comes after an adjoint's loop, for calls of one shape: products whose factors stand where they always do."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.batched import (
    adjoining,
    deferring,
    joined_columns,
    matrix_of,
    neighbours,
    stacked,
)
from recurra.recurrence.collect import Assembling, assembling, meetings
from recurra.recurrence.program import Outer, Product, Program, Read
from recurra.recurrence.schedule import Schedule


def has_tail(cut: Schedule) -> bool:
    """Whether `Tail` can compute all that comes after the loop of an adjoint: outputs that are sums of products of what
    leaves the loop; sums for whole weights, of what leaves it and of sequences."""
    program, leaving, how = cut.program, {*cut.leaving}, deferring(cut)
    parts = [program.nodes[part] for _, parts in how.sums for part in parts]
    deferred = how.wanted <= {node for node, _ in how.sums} and how.wanted.isdisjoint(_factors(program))
    known = all(isinstance(part, Product) and part.operand in leaving for part in parts)
    outputs = leaving.issuperset({*program.outputs} - how.wanted)
    return deferred and known and outputs and _has_sums(cut)


def _factors(program: Program) -> set[int]:
    return {node for item in program.sums if isinstance(item, Outer) for node in (item.left, item.right)}


def _has_sums(cut: Schedule) -> bool:
    program, leaving = cut.program, {*cut.leaving}
    widths = [node.width for node in program.nodes]
    for position, item in enumerate(program.sums):
        if isinstance(item, Outer):
            right = program.nodes[item.right]
            given = isinstance(right, Read) and right.kind == "sequence"
            if item.left not in leaving or not (given or item.right in leaving):
                return False
            if (widths[item.left], widths[item.right]) != (item.rows.size, item.columns.size):
                return False
        elif item.kind != "weight" or item.span.size != widths[item.operand]:
            return False
        elif item.operand not in leaving and position not in cut.carried:
            return False
    return all(how.whole for how in assembling(program).values())


class Factor(NamedTuple):
    """A right factor: kept memory, or one of a call's tensors, and what its first step reads where it is delayed."""

    kept: Tensor | None
    number: int
    start: int | None


class Piece(NamedTuple):
    """Rows of one of the results."""

    result: int
    start: int
    size: int


class Tail:
    """For one adjoint.

    Args:
        sizes: steps and rows.
        series: what leaves the loop, by node, ``(T, B, width)``, in memory that is the same in every call.
        totals: of the sums that the loop takes, ``(B, width)``, in such memory too, by position.
        sequences: where each of the adjoint's sequences stands among the tensors of a call.
        starts: where what the first step reads of the delayed ones does.
    """

    def __init__(
        self,
        cut: Schedule,
        sizes: tuple[int, int],
        series: Mapping[int, Tensor],
        totals: Mapping[int, Tensor],
        sequences: Sequence[int],
        starts: Mapping[int, int],
    ) -> None:
        program = cut.program
        self._sizes = sizes
        flat = {node: each.flatten(0, 1) for node, each in series.items()}
        self._outer: list[tuple[Tensor, Tensor, Tensor, Factor]] = []
        self._sums: list[Tensor] = []
        places: dict[int, Piece] = {}  # by position of the sum
        for lefts, rights in meetings(program, flat):
            left = _joined([flat[node] for node in lefts]).T
            begin = self._sizes[1]
            for right, run in rights:
                factor = self._factor(program, right, flat, sequences, starts)
                _place(places, len(self._outer), run, [flat[node].shape[1] for node in lefts])
                self._outer.append((left, left[:, begin:], left[:, :begin], factor))
        self._place_sums(program, flat, totals, places)
        self._weights = [(index, self._pieces(how, places)) for index, how in sorted(assembling(program).items())]
        self._deferred = {node: self._products(program, parts, flat) for node, parts in deferring(cut).sums}
        self._outputs = [(node, series.get(node)) for node in program.outputs]

    def _factor(
        self,
        program: Program,
        index: int,
        flat: Mapping[int, Tensor],
        sequences: Sequence[int],
        starts: Mapping[int, int],
    ) -> Factor:
        if index in flat:
            return Factor(flat[index], 0, None)
        read = program.nodes[index]
        assert isinstance(read, Read)
        return Factor(None, sequences[read.index], starts.get(read.index))

    def _place_sums(
        self, program: Program, flat: Mapping[int, Tensor], totals: Mapping[int, Tensor], places: dict[int, Piece]
    ) -> None:
        """The sums over steps and rows; of columns that lie side by side as one."""
        first = len(self._outer)
        wanted = {i: item.operand for i, item in enumerate(program.sums) if not isinstance(item, Outer)}
        for position, total in totals.items():
            places[position] = Piece(first + len(self._sums), 0, total.shape[1])
            self._sums.append(total)
        columns = {node: flat[node] for position, node in wanted.items() if position not in totals}
        for run in neighbours(columns, columns):
            found: dict[int, Piece] = {}
            _place(found, first + len(self._sums), run, [columns[node].shape[1] for node in run])
            places |= {position: found[node] for position, node in wanted.items() if node in found}
            self._sums.append(_joined([columns[node] for node in run]))

    def _pieces(self, how: Assembling, places: Mapping[int, Piece]) -> list[Piece]:
        """What a weight's gradient is made of, as few pieces as there can be."""
        found: list[Piece] = []
        for piece in (places[position] for position in how.positions):
            last = found[-1] if found else None
            if last is not None and (last.result, last.start + last.size) == piece[:2]:
                found[-1] = last._replace(size=last.size + piece.size)
            else:
                found.append(piece)
        return found

    def _products(
        self, program: Program, parts: Sequence[int], flat: Mapping[int, Tensor]
    ) -> list[tuple[Tensor, tuple[Product, ...]]]:
        """A sum of products: columns, and the blocks of weights that they meet."""
        nodes = {part: program.nodes[part] for part in parts}
        operand = {part: flat[node.operand] for part, node in nodes.items() if isinstance(node, Product)}
        runs = neighbours(parts, operand)
        return [(_joined([operand[part] for part in run]), adjoining(program, tuple(run))) for run in runs]

    def outputs(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """The outputs of the adjoint, ``(T, B, width)``."""
        return [self._output(node, weights) if series is None else series.clone() for node, series in self._outputs]

    def _output(self, node: int, weights: Sequence[Tensor]) -> Tensor:
        (columns, blocks), *others = self._deferred[node]
        found = torch.mm(columns, _stacked(blocks, weights))
        for columns, blocks in others:
            found.addmm_(columns, _stacked(blocks, weights))
        return found.view(*self._sizes, -1)

    def gradients(self, tensors: Sequence[Tensor]) -> dict[int, Tensor]:
        """The gradients of weights.

        Args:
            tensors: of the call.
        """
        results = [self._product(*outer, tensors) for outer in self._outer] + [each.sum(0) for each in self._sums]
        taken, found = set[int](), {}
        for index, pieces in self._weights:
            result, start, size = pieces[0]
            if len(pieces) == 1 and size == len(results[result]) and result not in taken:
                taken.add(result)
                found[index] = results[result]
            else:
                found[index] = torch.cat([results[result].narrow(0, start, size) for result, start, size in pieces])
        return found

    def _product(self, left: Tensor, later: Tensor, first: Tensor, factor: Factor, tensors: Sequence[Tensor]) -> Tensor:
        if factor.kept is not None:
            return torch.mm(left, factor.kept)
        right = tensors[factor.number].flatten(0, 1)
        if factor.start is None:
            return torch.mm(left, right)
        return torch.mm(later, right[: later.shape[1]]).addmm_(first, tensors[factor.start])


def _joined(columns: list[Tensor]) -> Tensor:
    return joined_columns(columns) if len(columns) > 1 else columns[0]


def _place(places: dict[int, Piece], result: int, items: Sequence[int], widths: Sequence[int]) -> None:
    """Where the items stand in a result whose rows they are, one after the other."""
    start = 0
    for item, width in zip(items, widths, strict=True):
        places[item] = Piece(result, start, width)
        start += width


def _stacked(blocks: Sequence[Product], weights: Sequence[Tensor]) -> Tensor:
    return stacked([matrix_of(block, weights).T for block in blocks])
