"""Tensors of a trace as pieces: what is in memory, each piece one value of a graph, and where in it a tensor lies.

A tensor of the batch is a row of features, in the order of memory, cut into pieces. Slices, splits, reshapes and
concatenations only choose among pieces; a slice through a piece becomes a slice of what the piece is computed from.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy
import torch

from recurra.recurrence.graph import Graph, Operand, Value
from recurra.recurrence.program import Apply, Product, Read, Reduce, Scalar, Span, Weight
from recurra.recurrence.record import NotFused, View

MOST_PIECES = 64
"""More pieces than this are no blocks any more, but features shuffled one by one."""

Dims = list[tuple[int, int]]
"""Sizes and strides."""


class Piece(NamedTuple):
    """``size`` features: a value that wide, or one feature that stands for all of them."""

    value: Value
    size: int


class Row:
    """The features of a tensor of the batch, in the order of memory.

    Args:
        stride: features that lie within the batch dimension in memory: all of them, where it comes first.
    """

    def __init__(self, pieces: list[Piece], stride: int) -> None:
        self.pieces = pieces
        self.stride = stride


class WeightSource(NamedTuple):
    """What a weight of the program is: an invariant seen as a vector or matrix of ``shape``, or where ``picked`` are
    its sizes, strides and offset, some elements of it."""

    view: View
    shape: tuple[int, ...]
    picked: tuple[tuple[int, ...], tuple[int, ...], int] | None = None


class Memory:
    """Everything a step has computed so far.

    Args:
        batch: the size that stands for the batch.
        cuts: where each leaf of the inputs and states is cut, by kind and leaf, and where the results of a product are,
            by its number among the step's; grows where a slice is taken.
    """

    def __init__(self, graph: Graph, batch: int, cuts: dict[tuple[str, int], set[int]]) -> None:
        self.graph = graph
        self.batch = batch
        self.cuts = cuts
        self.rows: dict[int, Row] = {}
        self.invariants: dict[int, View] = {}
        self.uniform: dict[int, float] = {}
        self.weights: dict[WeightSource, int] = {}
        self.read_invariants: set[int] = set()
        self.reads: dict[Read, tuple[str, int, int]] = {}
        self._strips: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        self._products = 0
        self._cut: dict[tuple[int, int, int], Value] = {}
        self._temporary = 0

    # Where a tensor lies

    def batch_dimension(self, shape: Sequence[int]) -> int | None:
        """The dimension that holds the batch, alone or with features inside it."""
        found = [dim for dim, size in enumerate(shape) if size and size % self.batch == 0]
        if len(found) > 1:
            raise NotFused("a tensor has two batch dimensions")
        return found[0] if found else None

    def features(self, view: View, shape: Sequence[int]) -> tuple[Dims, int]:
        """The feature dimensions of a tensor broadcast to ``shape``, and the stride of its batch dimension."""
        at = self.batch_dimension(shape)
        missing = len(shape) - len(view.shape)
        sizes, strides = (1,) * missing + view.shape, (0,) * missing + view.strides
        dims, batch_stride = [], 0
        for dim, (wanted, size, stride) in enumerate(zip(shape, sizes, strides, strict=True)):
            stride = 0 if size == 1 and wanted != 1 else stride
            if dim == at:
                inner = wanted // self.batch
                batch_stride = stride * inner
                dims += [(inner, stride)] if inner > 1 else []
            else:
                dims.append((wanted, stride))
        return dims, batch_stride

    def keys(self, storage: int, places: numpy.ndarray, batch_stride: int) -> numpy.ndarray:
        """Where in a row the features at these places in memory lie."""
        stride = self.rows[storage].stride
        if batch_stride != stride:
            raise NotFused("the step mixes the batch with features, or takes single rows of it")
        return places // (self.batch * stride) * stride + places % stride if len(places) else places

    # Reading and writing

    def pieces(self, view: View, shape: Sequence[int]) -> list[Piece]:
        """The features of a tensor broadcast to ``shape``, in the order of the dimensions."""
        dims, batch_stride = self.features(view, shape)
        if view.storage in self.rows:
            places = addresses(view.offset, dims)
            return self.gathered(view.storage, self.keys(view.storage, places, batch_stride))
        if batch_stride:
            raise NotFused("a tensor takes other values for each row of the batch, which are not the step's input")
        return self._invariant(view, dims)

    def gathered(self, storage: int, keys: numpy.ndarray) -> list[Piece]:
        pieces = self.rows[storage].pieces
        found = []
        for start, size, step in runs(keys):
            if step == 1:
                found += list(self._between(pieces, start, size))
            else:
                (one,) = self._between(pieces, start, 1)
                found.append(Piece(one.value, size))
        return found

    def write(self, view: View, pieces: list[Piece]) -> None:
        """Leave ``pieces`` at the place of a tensor: a new one, or a part of one that there is."""
        dims, batch_stride = self.features(view, view.shape)
        if view.storage not in self.rows:
            self.rows[view.storage] = Row(pieces, batch_stride)
            return
        row = self.rows[view.storage]
        done = 0
        for start, size, step in runs(self.keys(view.storage, addresses(view.offset, dims), batch_stride)):
            if step != 1:
                raise NotFused("a tensor is written to more than once in one place")
            new, after = list(self._between(pieces, done, size)), start + size
            width = sum(piece.size for piece in row.pieces)
            before = list(self._between(row.pieces, 0, start))
            row.pieces = [*before, *new, *self._between(row.pieces, after, width - after)]
            done += size

    def new(self, pieces: list[Piece], shape: Sequence[int]) -> View:
        """A tensor of the batch, of ``shape``, that the trace does not know."""
        self._temporary -= 1
        strides = [prod(shape[dim + 1 :]) for dim in range(len(shape))]
        view = View(self._temporary, 0, tuple(shape), tuple(strides), torch.float32)
        self.write(view, pieces)
        return view

    def _between(self, pieces: list[Piece], start: int, size: int) -> Iterator[Piece]:
        at = 0
        for piece in pieces:
            low, high = max(start, at), min(start + size, at + piece.size)
            if low < high:
                yield Piece(self.cut(piece.value, low - at, high - low), high - low)
            at += piece.size

    def _invariant(self, view: View, dims: Dims) -> list[Piece]:
        size = prod(size for size, _ in dims)
        if view.storage in self.uniform:
            return [Piece(self.graph.scalar(self.uniform[view.storage]), size)] if size else []
        base = self.invariants[view.storage]
        self.read_invariants.add(view.storage)
        found = list(runs(addresses(view.offset, dims), limit=None))
        if len(found) > 8:
            sizes, strides = zip(*dims, strict=True)
            index = self.weight(WeightSource(base, (size,), (sizes, strides, view.offset)))
            return [Piece(self.graph.weight(index, Span(0, size)), size)]
        index = self.weight(WeightSource(base, (prod(base.shape),)))
        return [Piece(self.graph.weight(index, Span(start, size if step else 1)), size) for start, size, step in found]

    def weight(self, source: WeightSource) -> int:
        return self.weights.setdefault(source, len(self.weights))

    # Slices of values

    def cut(self, value: Value, start: int, size: int) -> Value:
        """``size`` features of a value from ``start`` on."""
        if value.width == 1 or size == value.width:
            return value
        key = (value.index, start, size)
        if key not in self._cut:
            self._cut[key] = self._sliced(value, start, size)
        return self._cut[key]

    def _sliced(self, value: Value, start: int, size: int) -> Value:
        node = value.node
        match node:
            case Apply():
                operands = [self.cut(Value(self.graph, operand), start, size) for operand in node.operands]
                return self.graph.apply(node.operation, *operands)
            case Product():
                return self._strip(value.index, node, start, size)
            case Weight():
                return self.graph.weight(node.index, Span(node.span.start + start, size))
            case Read():
                return self._partitioned(node, start, size)
            case Scalar() | Reduce():
                return value

    def _partitioned(self, node: Read, start: int, size: int) -> Value:
        """A part of an input or state, whose leaf must be cut there: the step is lowered again with these cuts."""
        kind, leaf, first = self.reads[node]
        self.cuts[kind, leaf] |= {first + start, first + start + size}
        part = Read(node.kind, -1 - len(self.reads), size)
        self.reads[part] = kind, leaf, first + start
        return self.graph.add(part)

    def _strip(self, index: int, node: Product, start: int, size: int) -> Value:
        """A part of a product's results; of each of the step's products that has the whole, it is a part too."""
        span = Span(_results(node).start + start, size)
        part = self.graph.add(replace(node, columns=span) if node.transposed else replace(node, rows=span))
        self._strips[part.index] |= {(number, first + start) for number, first in self._strips[index]}
        return part

    def separate(self, kept: Iterable[int]) -> None:
        """Cut products that have some results in common, for none to be computed twice: the step is lowered again."""
        alike: defaultdict[tuple[int, int, bool, Span], list[tuple[int, Span]]] = defaultdict(list)
        for index in kept:
            node = self.graph.nodes[index]
            if isinstance(node, Product):
                summed = node.rows if node.transposed else node.columns
                alike[node.operand, node.index, node.transposed, summed].append((index, _results(node)))
        for products in alike.values():
            ends = {end for _, (start, size) in products for end in (start, start + size)}
            for index, (start, size) in products:
                inside = {end - start for end in ends if start < end < start + size}
                for number, first in self._strips[index] if inside else ():
                    places = self.cuts.setdefault(("product", number), set())
                    places |= {first + end for end in inside}

    # Computing

    def map(
        self, function: Callable[..., Operand], operands: Sequence[View | float | int], shape: Sequence[int]
    ) -> list[Piece]:
        """An element-wise function of tensors, broadcast to ``shape``, and numbers."""
        given = [self.pieces(each, shape) if isinstance(each, View) else each for each in operands]
        return self.together(function, given)

    def together(self, function: Callable[..., Operand], operands: Sequence[list[Piece] | float | int]) -> list[Piece]:
        """An element-wise function of lists of pieces of equal length, and numbers."""
        lists = [each for each in operands if isinstance(each, list)]
        ends = sorted({end for pieces in lists for end in _ends(pieces)})
        found = []
        for start, end in zip([0, *ends], ends, strict=False):
            values = [self._one(each, start, end) if isinstance(each, list) else each for each in operands]
            value = function(*values)
            value = value if isinstance(value, Value) else self.graph.scalar(value)
            found.append(Piece(value, end - start))
        return found

    def _one(self, pieces: list[Piece], start: int, end: int) -> Value:
        (piece,) = self._between(pieces, start, end - start)
        return piece.value

    def whole(self, piece: Piece) -> Value:
        """The value of a piece at its full width."""
        if piece.value.width == piece.size:
            return piece.value
        return self.graph.add(Apply("mul", (piece.value.index, self.graph.scalar(1.0).index), piece.size))

    def reduce(self, operation: str, pieces: list[Piece]) -> Value:
        """The "sum" or "max" of all features."""
        total: Value | None = None
        for piece in pieces:
            value = self.graph.reduce(operation, piece.value)
            if operation == "sum" and piece.value.width != piece.size:
                value = value * piece.size
            total = value if total is None else total + value if operation == "sum" else total.apply("maximum", value)
        assert total is not None
        return total

    def product(self, pieces: list[Piece], view: View, rows: tuple[int, int], columns: tuple[int, int]) -> list[Piece]:
        """A row of features times an invariant matrix, whose rows and columns are given by size and stride."""
        index, first, second, transposed = self._block(view, rows, columns)
        summed, across = (first, second) if transposed else (second, first)
        number, self._products = self._products, self._products + 1
        places = sorted({0, columns[0], *self.cuts.get(("product", number), ())})
        found = []
        for start, end in zip(places, places[1:], strict=False):
            strip = Span(across.start + start, end - start)
            total, done = self.graph.scalar(0.0), 0
            for piece in pieces:
                along = Span(summed.start + done, piece.size)
                spans = (along, strip) if transposed else (strip, along)
                value = self.graph.product(self.whole(piece), index, *spans, transposed)
                self._strips[value.index].add((number, start))
                total, done = total + value, done + piece.size
            found.append(Piece(total, end - start))
        return found

    def _block(self, view: View, rows: tuple[int, int], columns: tuple[int, int]) -> tuple[int, Span, Span, bool]:
        """The weight that holds a matrix, the rows and columns of it, and whether it is to be transposed."""
        (depth, down), (width, across) = rows, columns
        base = self.invariants[view.storage]
        self.read_invariants.add(view.storage)
        elements = prod(base.shape)
        usual = base.shape[-1] if base.shape else 1
        for length in (usual, down if depth > 1 else usual, across if width > 1 else usual):
            if not length or elements % length:
                continue
            row, column = divmod(view.offset, length)
            whole = WeightSource(base, (elements // length, length))
            if (across == 1 or width == 1) and (down == length or depth == 1) and column + width <= length:
                return self.weight(whole), Span(row, depth), Span(column, width), True
            if (down == 1 or depth == 1) and (across == length or width == 1) and column + depth <= length:
                return self.weight(whole), Span(row, width), Span(column, depth), False
        picked = WeightSource(base, (depth, width), ((depth, width), (down, across), view.offset))
        return self.weight(picked), Span(0, depth), Span(0, width), True


def _results(node: Product) -> Span:
    """The rows or columns of the weight that make one feature of the result each."""
    return node.columns if node.transposed else node.rows


def addresses(offset: int, dims: Dims) -> numpy.ndarray:
    """Where in memory the elements lie, in the order of the dimensions."""
    found = numpy.array([offset])
    for size, stride in dims:
        found = (found[:, None] + numpy.arange(size) * stride).reshape(-1)
    return found


def runs(places: numpy.ndarray, limit: int | None = MOST_PIECES) -> Iterator[tuple[int, int, int]]:
    """Places cut into runs (start, size, step) of steps 1 or 0.

    Raises:
        NotFused: more than ``limit`` of them.
    """
    steps = numpy.diff(places)
    start, count = 0, 0
    while start < len(places):
        step = int(steps[start]) if start < len(steps) and steps[start] in (0, 1) else 1
        ends = numpy.flatnonzero(steps[start:] != step)
        size = int(ends[0]) + 1 if len(ends) else len(places) - start
        yield int(places[start]), size, step
        start, count = start + size, count + 1
        if limit is not None and count > limit:
            raise NotFused("the step rearranges features one by one")


def _ends(pieces: list[Piece]) -> Iterator[int]:
    end = 0
    for piece in pieces:
        end += piece.size
        yield end
