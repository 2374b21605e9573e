"""What product kernels are given: weights, packed in the order in which they are read, and rounded operands."""

import llvmlite.ir as ir

from recurra.recurrence.cpu.control import repeat
from recurra.recurrence.cpu.layout import Blocks, Layout, Tile
from recurra.recurrence.cpu.places import Place, Places
from recurra.recurrence.cpu.products import Kernels, declare
from recurra.recurrence.cpu.vector import INT64, POINTER, Value, int64
from recurra.recurrence.program import Product


def tile_memory(layout: Layout, kernels: Kernels) -> tuple[int, int]:
    """How much room one thread needs, in elements: for the products of one block, and for each row of the batch."""
    groups = [group for stage in layout.schedule.stages for group in stage.groups]
    vectors = [len(group.products) * layout.blocks[group.width].vectors for group in groups]
    return max(vectors, default=0) * layout.lanes * kernels.rows_limit(1), layout.rounded_size


class Factors:
    """Emits their making, and knows where they are.

    Args:
        memory: this thread's own room, of `tile_memory`.
    """

    def __init__(self, builder: ir.IRBuilder, layout: Layout, places: Places, kernels: Kernels, memory: Value) -> None:
        self.builder, self.layout, self.places, self.kernels, self.memory = builder, layout, places, kernels, memory

    def pack(self, shares: dict[int, tuple[Value, Value]]) -> None:
        """This thread's share of the weights, blocks by width, into panels."""
        for (stage, position), tiles in self.layout.tiles.items():
            blocks = self.layout.blocks[self.layout.schedule.stages[stage].groups[position].width]
            for tile in tiles:
                self._pack_tile(tile, blocks, shares[blocks.width])

    def _pack_tile(self, tile: Tile, blocks: Blocks, share: tuple[Value, Value]) -> None:
        builder, depth, size = self.builder, int64(self._product(tile).depth), int64(len(tile.columns))
        kinds = [POINTER, *[INT64] * 3, POINTER, INT64, INT64]
        kernel = declare(builder.module, self.kernels.dtype, self.kernels.pack(tile.int8), kinds)

        def block(index: Value) -> None:
            panel = self.panel(tile, index)
            for column, (product, vector) in enumerate(tile.columns):
                _, stride_n, stride_k = self.places.given["product", product]
                unit = builder.add(self.places.unit(blocks, index), int64(vector * self.layout.lanes))
                start = self.places.in_matrix(product, builder.mul(unit, stride_n))
                builder.call(kernel, [start, stride_n, stride_k, depth, panel, size, int64(column)])

        repeat(builder, *share, block)

    def panel(self, tile: Tile, block: Value) -> Value:
        """The packed weights of a tile for one block of features."""
        size = self.depth(tile) * len(tile.columns) * self.layout.lanes // (4 if tile.int8 else 1)
        start = self.builder.add(int64(tile.panel), self.builder.mul(block, int64(size)))
        return self.places.at(self.places.word["panels"], start)

    def depth(self, tile: Tile) -> int:
        """How many vectors for each of its columns a tile's panel has."""
        return self.layout.places(self._product(tile).depth)

    def _product(self, tile: Tile) -> Product:
        node = self.layout.program.nodes[tile.columns[0][0]]
        assert isinstance(node, Product)
        return node

    def operands(self, stage: int, places: dict[int, list[Place]], rows: tuple[Value, Value]) -> dict[int, list[Place]]:
        """Where a stage's products find their operands: where they stand, or rounded into this thread's own room, for
        they are read many times."""
        if not self.layout.rounded:
            return places
        builder, (first, last) = self.builder, rows
        tiles, row = tile_memory(self.layout, self.kernels)
        count, before = builder.sub(last, first), builder.mul(first, int64(row))
        found = {}
        for operand, place in self.layout.rounded[stage].items():
            source, own = places[operand][0], self.places.at(self.memory, int64(tiles + place))
            start, depth = self.places.address(source, first, int64(0)), self.layout.program.nodes[operand].width
            address = self.kernels.collect() if source.half else self.kernels.round()
            kinds = [POINTER, *[INT64] * 3, POINTER, INT64]
            kernel = declare(builder.module, self.kernels.dtype, address, kinds)
            builder.call(kernel, [start, source.stride, count, int64(depth), own, int64(row)])
            # counted from the batch's first row, as all places are
            found[operand] = [Place(self.places.at(own, builder.neg(before)), int64(row))]
        return found
