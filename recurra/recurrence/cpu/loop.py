"""The generator: a laid-out program as one function that runs all its steps, on every thread of a team.

    for each step
        for each stage
            wait for the others, where this stage reads what all of them computed
            for each block of features, for each few rows of the batch
                products of the block, accumulated in registers
                the equations, vector by vector

Threads own either features (each waits for the others once a stage, and its weights stay in its cache) or rows of the
batch (nobody waits, everyone reads all weights).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import llvmlite.ir as ir

from recurra.recurrence.cpu import amx
from recurra.recurrence.cpu.control import (
    FunctionPointer,
    counted,
    each,
    if_so,
    open_function,
    repeat,
    share,
    smaller,
)
from recurra.recurrence.cpu.factors import Factors, tile_memory
from recurra.recurrence.cpu.layout import WORDS, Blocks, Layout, Tile
from recurra.recurrence.cpu.machine import DType, Machine
from recurra.recurrence.cpu.places import Place, Places
from recurra.recurrence.cpu.pool import pool
from recurra.recurrence.cpu.products import Kernels, declare
from recurra.recurrence.cpu.tables import offsets
from recurra.recurrence.cpu.team import Team, emit_barrier, enter
from recurra.recurrence.cpu.vector import INT64, POINTER, Index, Value, Vectors, int64
from recurra.recurrence.operations import OPERATIONS
from recurra.recurrence.program import Apply, Product, Read, Scalar, operands
from recurra.recurrence.schedule import Group


class Step(NamedTuple):
    """One step of the loop while it is emitted: where each node stands, the share of this thread, and where products
    find their operands."""

    places: dict[int, list[Place]]
    rows: tuple[Value, Value]
    blocks: dict[int, tuple[Value, Value]]
    factors: dict[int, list[Place]]


def emit_loop(layout: Layout, machine: Machine, dtype: DType, kernels: Kernels) -> ir.Module:
    """A module with the functions ``share(words*, me, size)``, what one thread of a team does, and ``loop(words*)``, by
    the team of an OpenMP region; see `layout.WORDS` and `layout.arguments` for what they are given."""
    module = _Generator(layout, machine, dtype, kernels).module
    builder, (words,) = open_function(module, "loop", "words*")
    place = builder.gep(words, [int64(WORDS.index("alone"))], source_etype=INT64)
    team = enter(builder, module, builder.load(place, typ=INT64), pool() is not None)
    builder.call(module.get_global("share"), [words, *team])
    builder.ret_void()
    return module


class _Generator:
    def __init__(self, layout: Layout, machine: Machine, dtype: DType, kernels: Kernels) -> None:
        self.layout, self.program, self.dtype, self.kernels = layout, layout.program, dtype, kernels
        self.estimates = machine.estimates
        self.module = ir.Module("loop")
        self.module.triple = machine.triple
        self.barrier = emit_barrier(self.module)
        self.offsets = offsets(layout, kernels)
        self.builder, (words, *team) = open_function(self.module, "share", "words* me size")
        self.builder.function.attributes.add("noinline")
        self.team = Team(*team)
        self.places = Places(self.builder, layout, dtype, words)
        self.memory = self._tile_memory()
        self.factors = Factors(self.builder, layout, self.places, kernels, self.memory)
        self._run()
        if kernels.tiles:
            amx.release(self.builder, self.module)
        self.builder.ret_void()

    def _vectors(self, lanes: int) -> Vectors:
        return Vectors(self.builder, self.module, self.dtype, lanes, self.estimates)

    def _tile_memory(self) -> Value:
        """This thread's room for the products of one block, and behind it for rounded operands."""
        tiles, row = tile_memory(self.layout, self.kernels)
        size = self.builder.add(int64(tiles), self.builder.mul(self.places.word["batch"], int64(row)))
        return self.places.at(self.places.word["tiles"], self.builder.mul(self.team.me, size))

    def _run(self) -> None:
        builder, team = self.builder, self.team
        batch, following = self.places.word["batch"], builder.add(team.me, int64(1))
        shares = {
            width: (share(builder, its.number, team.me, team.size), share(builder, its.number, following, team.size))
            for width, its in self.layout.blocks.items()
        }
        with builder.if_then(builder.icmp_signed("==", self.places.word["packed"], int64(0))):
            self.factors.pack(shares)
            if self.layout.panels:
                with builder.if_then(builder.icmp_signed(">", team.size, int64(1))):
                    builder.call(self.barrier, [self.places.word["barrier"], team.size])
        overtakes = self._overtakes()

        def step(count: Value, before: list[Value]) -> list[Value]:
            position = self.places.position(count)
            division = self._divided(position.rows, before, shares)
            _, self.waits, *ends = division
            rows, *pairs = zip(ends[::2], ends[1::2], strict=True)
            places, blocks = self.places.at_step(position), dict(zip(shares, pairs, strict=True))
            for index, stage in enumerate(self.layout.schedule.stages):
                if stage.reduces or any(group.products for group in stage.groups) or index == 0 and overtakes:
                    self._wait()
                now = Step(places, rows, blocks, self.factors.operands(index, places, rows))
                for node in stage.reduces:
                    self._reduce(node, now)
                for number, group in enumerate(stage.groups):
                    self._group(group, self.layout.tiles.get((index, number), ()), now)
            return division

        counted(builder, 0, self.places.word["steps"], 1, [batch, *self._division(batch, shares)], step)

    def _divided(self, rows: Value, before: list[Value], shares: dict[int, tuple[Value, Value]]) -> list[Value]:
        """The `_division` of a step, behind its number of rows; where it is not that of the step ``before``, threads
        meet, since one may go on with what another has computed."""
        builder = self.builder

        def anew() -> list[Value]:
            with builder.if_then(builder.icmp_signed(">", self.team.size, int64(1))):
                builder.call(self.barrier, [self.places.word["barrier"], self.team.size])
            return [rows, *self._division(rows, shares)]

        return if_so(builder, builder.icmp_signed("!=", rows, before[0]), anew, before)

    def _division(self, rows: Value, shares: dict[int, tuple[Value, Value]]) -> list[Value]:
        """What this thread does where so many rows run: whether it waits for others in a step, from and to which row,
        and from and to which block of each width."""
        builder, team = self.builder, self.team
        by_rows = builder.icmp_signed(">=", rows, self.places.word["by_rows"])
        following = builder.add(team.me, int64(1))
        found = [
            builder.and_(builder.icmp_signed(">", team.size, int64(1)), builder.not_(by_rows)),
            builder.select(by_rows, share(builder, rows, team.me, team.size), int64(0)),
            builder.select(by_rows, share(builder, rows, following, team.size), rows),
        ]
        for width, (first, last) in shares.items():
            every = int64(self.layout.blocks[width].number)
            own = [builder.select(by_rows, int64(0), first), builder.select(by_rows, every, last)]
            found += own if width > 1 else [int64(0), every]
        return found

    def _overtakes(self) -> bool:
        """Whether a thread a step ahead may, in a first stage without products, replace what another still reads: the
        features that both compute, of a state whose two slots are reads of the later stages and results of the first.
        """
        first, *later = [
            {node for group in stage.groups for node in group.nodes} for stage in self.layout.schedule.stages
        ]
        read = {operand for nodes in later for node in nodes for operand in operands(self.program.nodes[node])}
        reads = [self.program.nodes[node] for node in read]
        old = {node.index for node in reads if isinstance(node, Read) and node.kind == "state"}
        return any(self.program.next[state] in first for state in old)

    def _wait(self) -> None:
        with self.builder.if_then(self.waits):
            self.builder.call(self.barrier, [self.places.word["barrier"], self.team.size])

    def _reduce(self, index: int, step: Step) -> None:
        """The sum or maximum over the features of every row, by every thread that needs it."""
        node = self.program.nodes[index]
        operand = node.operand  # type: ignore[union-attr]
        width = self.program.nodes[operand].width
        source = step.places[operand][0]
        wide, one = self._vectors(min(self.layout.lanes, 1 << (width.bit_length() - 1))), self._vectors(1)
        whole = width // wide.lanes * wide.lanes

        def row(number: Value) -> None:
            def load(vectors: Vectors, feature: Index) -> Value:
                return vectors.load(self.places.address(source, number, int64(feature)))

            def join(vectors: Vectors, a: Value, b: Value) -> Value:
                return vectors.add(a, b) if node.operation == "sum" else vectors.maximum(a, b)  # type: ignore[union-attr]

            def further(feature: Value, total: list[Value]) -> list[Value]:
                return [join(wide, total[0], load(wide, feature))]

            (total,) = counted(self.builder, wide.lanes, whole, wide.lanes, [load(wide, 0)], further)
            result = wide.sum(total) if node.operation == "sum" else wide.max(total)  # type: ignore[union-attr]
            result = one.broadcast(result)
            for feature in range(whole, width):
                result = join(one, result, load(one, feature))
            for target in step.places[index]:
                self._put(one, result, target, number, int64(0))

        repeat(self.builder, *step.rows, row)

    def _group(self, group: Group, tiles: tuple[Tile, ...], step: Step) -> None:
        blocks = self.layout.blocks[group.width]
        if group.products and not self.layout.packed:
            self._direct_products(group, blocks, step)
        limit = min((self.kernels.rows_limit(len(tile.columns)) for tile in tiles), default=1 << 30)

        def block(index: Value) -> None:
            unit = self.places.unit(blocks, index)

            def rows(run: Value, begin: Value, end: Value) -> None:
                if tiles:
                    repeat(builder, begin, end, lambda row: self._fetch(group, blocks, unit, row, step))
                self._products(group, tiles, index, run, begin, builder.sub(end, begin), step)
                repeat(builder, begin, end, lambda row: self._equations(group, blocks, unit, row, begin, step))

            self._few_rows(step.rows, limit, rows)

        builder = self.builder
        repeat(builder, *step.blocks[group.width], block)

    def _few_rows(self, rows: tuple[Value, Value], limit: int, body: Callable[[Value, Value, Value], None]) -> None:
        """``body(run, begin, end)`` for runs of at most ``limit`` rows, as even as can be."""
        builder, (first, last) = self.builder, rows
        count = builder.sub(last, first)
        runs = builder.sdiv(builder.add(count, int64(limit - 1)), int64(limit))

        def run(index: Value) -> None:
            following = builder.add(index, int64(1))
            begin = builder.add(first, share(builder, count, index, runs))
            body(index, begin, builder.add(first, share(builder, count, following, runs)))

        repeat(builder, 0, runs, run)

    def _products(
        self, group: Group, tiles: tuple[Tile, ...], block: Value, run: Value, first: Value, rows: Value, step: Step
    ) -> None:
        """The products of one block and a few rows, into this thread's working memory.

        The runs together fetch the next block's panel ahead.
        """
        stride = int64(len(group.products) * self.layout.blocks[group.width].vectors * self.layout.lanes)
        for tile in tiles:
            source = step.factors[tile.operand][0]
            values = self.places.address(source, first, int64(0))
            out = self.places.at(self.memory, int64(tile.place * self.layout.lanes))
            panel, depth = self.factors.panel(tile, block), self.factors.depth(tile)
            following = self.factors.panel(tile, self.builder.add(block, int64(1)))
            ahead = self.places.at(following, self.builder.mul(run, int64(depth * self.layout.lanes)))
            more = int64(int(tile.accumulate))
            self._call_tile(tile.kernel, rows, [values, source.stride, panel, int64(depth), out, stride, more, ahead])

    def _call_tile(self, kernel: tuple[int, bool], rows: Value, arguments_: list[Value]) -> None:
        """The kernel for just as many rows, from the table."""
        builder = self.builder
        index = builder.add(int64(self.offsets[kernel]), rows)
        place = builder.gep(self.places.word["kernels"], [index], source_etype=INT64)
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in arguments_])
        builder.call(builder.load(place, typ=FunctionPointer(kind)), arguments_)

    def _direct_products(self, group: Group, blocks: Blocks, step: Step) -> None:
        """The products of this thread's features for all rows, from weights as they lie in memory."""
        builder = self.builder
        first, last = step.blocks[group.width]
        start = self.places.unit(blocks, first)
        end = (
            smaller(builder, builder.mul(last, int64(blocks.size)), blocks.width) if blocks.number > 1 else blocks.width
        )
        count = builder.sub(int64(end), start)
        begin, finish = step.rows
        rows = builder.sub(finish, begin)
        for node, parts in group.products.items():
            target = step.places[node][0]
            for turn, part in enumerate(parts):
                product = self.program.nodes[part]
                assert isinstance(product, Product)
                _, stride_n, stride_k = self.places.given["product", part]
                kernel = self.kernels.columns if product.transposed else self.kernels.dots
                address = kernel(product.index in self.program.int8)
                stride = stride_k if product.transposed else stride_n
                kinds = [POINTER, INT64, INT64, POINTER, INT64, INT64, INT64, POINTER, INT64, INT64]
                source = step.places[product.operand][0]
                values, out = self.places.address(source, begin, int64(0)), self.places.address(target, begin, start)
                weights = self.places.in_matrix(part, builder.mul(start, stride_n))
                depth, more = int64(product.depth), int64(int(turn > 0))
                builder.call(
                    declare(self.module, self.dtype, address, kinds),
                    [
                        values,
                        source.stride,
                        rows,
                        weights,
                        stride,
                        count,
                        depth,
                        out,
                        target.stride,
                        more,
                    ],
                )

    def _fetch(self, group: Group, blocks: Blocks, unit: Value, row: Value, step: Step) -> None:
        """What comes to the equations of one row and one block from far away, fetched while products are computed."""
        read = {operand for node in group.nodes for operand in operands(self.program.nodes[node])}
        vectors = self._vectors(blocks.lanes)
        for operand in sorted(read):
            node = self.program.nodes[operand]
            far = operand in self.layout.schedule.entering or isinstance(node, Read) and node.kind == "sequence"
            if far and node.width == group.width:
                for offset in blocks.offsets:
                    feature = self.builder.add(unit, int64(offset))
                    vectors.prefetch(self.places.address(step.places[operand][0], row, feature), 0)

    def _equations(self, group: Group, blocks: Blocks, unit: Value, row: Value, first: Value, step: Step) -> None:
        """All equations of a group for one row and one block."""
        vectors = self._vectors(blocks.lanes)
        stride = len(group.products) * blocks.vectors * self.layout.lanes
        products = self.builder.mul(self.builder.sub(row, first), int64(stride))

        def vector(offset: Value) -> None:
            feature = self.builder.add(unit, offset)
            load = partial(self._load, width=group.width, vectors=vectors, row=row, feature=feature, step=step)
            known: dict[int, Value] = {}
            if self.layout.packed:
                for position, node in enumerate(group.products):
                    place = self.builder.add(int64(position * blocks.vectors * self.layout.lanes), offset)
                    known[node] = vectors.load(self.memory, self.builder.add(products, place))
            self._apply(group, vectors, known, load)
            for stored in group.stores:
                for place in step.places[stored]:
                    self._put(vectors, known[stored], place, row, feature)

        if blocks.vectors > 1:
            each(self.builder, 0, blocks.size, blocks.lanes, vector)
        else:
            for offset in blocks.offsets:
                vector(int64(offset))

    def _apply(self, group: Group, vectors: Vectors, known: dict[int, Value], load: Callable[[int], Value]) -> None:
        """The equations of a group on one vector; what they read, and what they find, goes into ``known``."""
        for index in group.nodes:
            node = self.program.nodes[index]
            assert isinstance(node, Apply)
            for operand in node.operands:
                if operand not in known:
                    known[operand] = load(operand)
            known[index] = OPERATIONS[node.operation].emit(vectors, *(known[operand] for operand in node.operands))
        for stored in group.stores:
            if stored not in known:
                known[stored] = load(stored)

    def _load(self, index: int, width: int, vectors: Vectors, row: Value, feature: Value, step: Step) -> Value:
        node = self.program.nodes[index]
        if isinstance(node, Scalar):
            return vectors.constant(node.value)
        place = step.places[index][0]
        if node.width == width:
            return self._get(vectors, place, row, feature)
        one = self._vectors(1)
        return vectors.broadcast(one.lane(self._get(one, place, row, int64(0)), 0))

    def _put(self, vectors: Vectors, value: Value, place: Place, row: Value, feature: Value) -> None:
        store = vectors.store_half if place.half else vectors.store
        store(value, self.places.address(place, row, feature))

    def _get(self, vectors: Vectors, place: Place, row: Value, feature: Value) -> Value:
        load = vectors.load_half if place.half else vectors.load
        return load(self.places.address(place, row, feature))
