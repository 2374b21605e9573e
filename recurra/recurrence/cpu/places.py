"""Where everything stands in memory while generated code runs: addresses of each node's value at each step."""

from itertools import count
from typing import NamedTuple

import llvmlite.ir as ir

from recurra.recurrence.cpu.control import if_so, smaller
from recurra.recurrence.cpu.int8 import Widened
from recurra.recurrence.cpu.layout import NUMBERS, WORDS, Blocks, Layout, arguments
from recurra.recurrence.cpu.machine import DType
from recurra.recurrence.cpu.vector import INT64, POINTER, Value, Vectors, int64
from recurra.recurrence.program import Product, Read, Weight


class Place(NamedTuple):
    """Where a value stands at the present step: its first row, how far rows are apart, in elements, and whether these
    are bfloat16."""

    pointer: Value
    stride: Value
    half: bool = False


class Position(NamedTuple):
    """A step: which one, how many others are done, where it and the one before begin in a series, and how many rows run
    in it."""

    time: Value
    done: Value
    earlier: Value
    here: Value
    rows: Value


class Places:
    """The arguments of a generated function, and the addresses that follow from them.

    Args:
        words: the function's argument, an array of 64-bit words as `layout` orders them.
    """

    def __init__(self, builder: ir.IRBuilder, layout: Layout, dtype: DType, words: Value) -> None:
        self.builder, self.layout, self.program = builder, layout, layout.program
        self._one = Vectors(builder, builder.module, dtype, 1)
        numbers = count()

        def take(address: bool) -> Value:
            word = builder.gep(words, [int64(next(numbers))], source_etype=INT64)
            return builder.load(word, typ=POINTER if address else INT64)

        self.word = {name: take(name not in NUMBERS) for name in WORDS}
        self.given = {
            (kind, index): [take(letter == "a") for letter in letters] for kind, index, letters in arguments(layout)
        }
        self._ragged = builder.icmp_unsigned("!=", self.word["begins"], ir.Constant(POINTER, None))
        self._step_rows = builder.select(self._ragged, int64(1), self.word["batch"])

    def at(self, pointer: Value, index: Value) -> Value:
        """The address of an element."""
        return self._one.at(pointer, index)

    def in_matrix(self, product: int, index: Value) -> Value:
        """The address of an element of a product's matrix."""
        node = self.program.nodes[product]
        at = Widened(self._one).at if isinstance(node, Product) and node.index in self.program.int8 else self.at
        return at(self.given["product", product][0], index)

    def address(self, place: Place, row: Value, feature: Value) -> Value:
        at = self._one.half_at if place.half else self.at
        return at(place.pointer, self.builder.add(self.builder.mul(row, place.stride), feature))

    def unit(self, blocks: Blocks, index: Value) -> Value:
        """The first feature of a block; the last block is moved back to end with the features."""
        size = blocks.size if blocks.number > 1 else blocks.width
        return smaller(self.builder, self.builder.mul(index, int64(size)), blocks.width - size)

    def position(self, done: Value) -> Position:
        """Of the step after ``done`` others."""
        builder = self.builder
        last = builder.sub(self.word["steps"], int64(1))
        time = builder.sub(last, done) if self.program.backwards else done

        def packed() -> list[Value]:
            places = [builder.add(time, int64(number)) for number in range(3)]
            starts = [builder.gep(self.word["begins"], [place], source_etype=INT64) for place in places]
            earlier, here, following = (builder.load(start, typ=INT64) for start in starts)
            return [earlier, here, builder.sub(following, here)]

        even = [builder.sub(time, int64(1)), time, self.word["batch"]]
        return Position(time, done, *if_so(builder, self._ragged, packed, even))

    def at_step(self, step: Position) -> dict[int, list[Place]]:
        """Where each node stands in a step; the first place is the one to read."""
        layout = self.layout
        found: dict[int, list[Place]] = {}
        for index, node in enumerate(self.program.nodes):
            match node:
                case Read(kind="sequence") if node.index in layout.delayed and node.index in layout.sequences:
                    found[index] = [self._delayed(node.index, step)]
                case Read(kind="sequence") if node.index in layout.sequences:
                    found[index] = [self._series("sequence", node.index, step, index in layout.halves)]
                case Read(kind="state"):
                    found[index] = [self._before(node.index, step)]
                case Read(kind="row"):
                    found[index] = [Place(*self.given["row", node.index])]
                case Weight() if node.index in layout.vectors:
                    (pointer,) = self.given["vector", node.index]
                    found[index] = [Place(self.at(pointer, int64(node.span.start)), int64(0))]
        for entering in layout.schedule.entering:
            found[entering] = [self._series("entering", entering, step, entering in layout.halves)]
        for state, new in enumerate(self.program.next):
            found.setdefault(new, []).append(self._slot(state, step.done, step.here))
        for leaving in layout.leaving:
            found.setdefault(leaving, []).append(self._series("leaving", leaving, step, leaving in layout.halves))
        for stored in layout.scratch:
            found.setdefault(stored, []).append(self._in_scratch(stored, step.done))
        return found

    def _series(self, kind: str, index: int, step: Position, half: bool) -> Place:
        pointer, time_stride, row_stride = self.given[kind, index]
        whole = Place(pointer, time_stride, half)
        return Place(self.address(whole, step.here, int64(0)), row_stride, half)

    def _delayed(self, index: int, step: Position) -> Place:
        builder = self.builder
        pointer, time_stride, row_stride, start, start_stride = self.given["delayed", index]
        first = builder.icmp_signed("==", step.time, int64(0))
        earlier = self.at(pointer, builder.mul(step.earlier, time_stride))
        return Place(builder.select(first, start, earlier), builder.select(first, start_stride, row_stride))

    def _slot(self, state: int, number: Value, begin: Value) -> Place:
        """Where a state is left by the step after ``number`` others, which begins at ``begin`` in a series: of its own,
        or one of two that alternate."""
        width = self.program.states[state]
        _, pointer = self.given["state", state]
        if state in self.layout.kept:
            place, rows = number if self.program.backwards else begin, self._step_rows
        else:
            place, rows = self.builder.and_(number, int64(1)), self.word["batch"]
        size = self.builder.mul(rows, int64(width))
        return Place(self.at(pointer, self.builder.mul(place, size)), int64(width))

    def _before(self, state: int, step: Position) -> Place:
        """Where a step finds a state."""
        start, _ = self.given["state", state]
        left = self._slot(state, self.builder.sub(step.done, int64(1)), step.earlier)
        first = self.builder.icmp_signed("==", step.done, int64(0))
        return Place(self.builder.select(first, start, left.pointer), left.stride)

    def _in_scratch(self, node: int, done: Value) -> Place:
        """Working memory is there twice: a fast thread may be a step ahead of one that still reads."""
        builder, batch = self.builder, self.word["batch"]
        half = builder.mul(builder.and_(done, int64(1)), builder.mul(batch, int64(self.layout.scratch_size)))
        start = builder.add(half, builder.mul(batch, int64(self.layout.scratch[node])))
        return Place(self.at(self.word["scratch"], start), int64(self.program.nodes[node].width))
