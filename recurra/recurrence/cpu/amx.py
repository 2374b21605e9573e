"""The product of a few rows by Intel's tile registers (AMX): eight of up to sixteen rows of 64 bytes."""

import llvmlite.ir as ir

from recurra.recurrence.cpu.control import counted, open_function, product
from recurra.recurrence.cpu.pairs import GRAIN
from recurra.recurrence.cpu.vector import POINTER, Value, Vectors, int64

ROWS = LANES = 16
"""Of a register; a row is of 16 sums or 16 pairs."""

_BYTE = ir.IntType(8)


def emit_amx_tile(module: ir.Module, vectors: int, rows: int) -> None:
    """``tile(a*, lda, panel*, k, out*, ldo, accumulate, ahead*)``: as `tile.emit_tile`, of pairs, ``rows`` up to 32.

    Here ``k`` counts pairs, a multiple of sixteen, and ``lda`` places of float32; ``ahead`` is left alone. A result's
    terms are added in the order of k whatever the number of rows.
    """
    builder, arguments = open_function(module, "tile", "a* lda panel* k out* ldo accumulate ahead*")
    heights = [rows] if rows <= ROWS else [rows - rows // 2, rows // 2]
    tiles = _Tiles(builder, module, heights)
    for column in range(0, vectors, tiles.abreast):
        _emit_columns(tiles, arguments, range(column, min(column + tiles.abreast, vectors)), vectors)
    builder.ret_void()


def _emit_columns(tiles: "_Tiles", arguments: list[Value], columns: range, vectors: int) -> None:
    """Some columns of vectors, as many as there are registers for, and all rows."""
    builder, heights = tiles.builder, tiles.heights
    a, lda, panel, k, out, ldo, accumulate, _ = arguments
    sums = {(i, j): tiles.total(i, place) for i in range(len(heights)) for place, j in enumerate(columns)}
    corners = {(i, j): tiles.at(out, product(builder, i * heights[0], ldo), j * LANES) for i, j in sums}
    with builder.if_else(builder.icmp_signed("!=", accumulate, int64(0))) as (going_on, beginning):
        with going_on:
            for key, number in sums.items():
                tiles.load(number, corners[key], ldo)
        with beginning:
            for number in sums.values():
                tiles.clear(number)

    def more(index: Value, _: list[Value]) -> list[Value]:
        for i in range(len(heights)):
            tiles.load(tiles.left(i), tiles.at(a, product(builder, i * heights[0], lda), index), lda)
        row = product(builder, index, vectors * LANES)
        for j in columns:
            tiles.load(tiles.right(j), tiles.at(panel, row, j * LANES), int64(vectors * LANES))
            for i in range(len(heights)):
                tiles.multiply(sums[i, j], tiles.left(i), tiles.right(j))
        return []

    counted(builder, 0, k, GRAIN, [], more)
    for key, number in sums.items():
        tiles.store(number, corners[key], ldo)


def release(builder: ir.IRBuilder, module: ir.Module) -> None:
    """Give the registers back, for others that use them."""
    builder.call(_declared(module, "llvm.x86.tilerelease", []), [])


class _Tiles:
    """The eight registers: four for sums, one for each height of operands, the others for weights in turns."""

    def __init__(self, builder: ir.IRBuilder, module: ir.Module, heights: list[int]) -> None:
        self.builder, self.module, self.heights, self.abreast = builder, module, heights, 4 // len(heights)
        self._one = Vectors(builder, module, "float32", 1)
        high = [heights[number // self.abreast] for number in range(4)] + heights + [ROWS] * (4 - len(heights))
        builder.call(_declared(module, "llvm.x86.ldtilecfg", [POINTER]), [self._palette(high)])

    def _palette(self, heights: list[int]) -> Value:
        """What says how high and wide each register is: all of them 64 bytes wide."""
        content = bytearray(64)
        content[0] = 1
        for number, height in enumerate(heights):
            content[16 + 2 * number], content[48 + number] = 4 * LANES, height
        palette = ir.GlobalVariable(self.module, ir.ArrayType(_BYTE, 64), "palette")
        palette.global_constant, palette.linkage, palette.align = True, "internal", 64
        palette.initializer = ir.Constant(palette.value_type, content)
        return palette

    def total(self, height: int, place: int) -> int:
        return height * self.abreast + place

    def left(self, height: int) -> int:
        return 4 + height

    def right(self, column: int) -> int:
        return 4 + len(self.heights) + column % (4 - len(self.heights))

    def at(self, pointer: Value, index: Value, more: Value | int) -> Value:
        return self._one.at(pointer, self.builder.add(index, int64(more)))

    def load(self, number: int, pointer: Value, stride: Value) -> None:
        """Rows ``stride`` places apart."""
        self._call("tileloadd64", number, pointer, self._bytes(stride))

    def store(self, number: int, pointer: Value, stride: Value) -> None:
        self._call("tilestored64", number, pointer, self._bytes(stride))

    def clear(self, number: int) -> None:
        self._call("tilezero", number)

    def multiply(self, total: int, left: int, right: int) -> None:
        self._call("tdpbf16ps", total, left, right)

    def _bytes(self, places: Value) -> Value:
        return self.builder.mul(places, int64(4))

    def _call(self, name: str, *given: Value | int) -> None:
        values = [ir.Constant(_BYTE, value) if isinstance(value, int) else value for value in given]
        self.builder.call(_declared(self.module, f"llvm.x86.{name}", [value.type for value in values]), values)


def _declared(module: ir.Module, name: str, kinds: list[ir.Type]) -> ir.Function:
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
