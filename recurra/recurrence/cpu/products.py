"""Matrix products as compiled functions, independent of any program: made when first asked for, then kept."""

import threading
from collections.abc import Callable
from functools import cache

import llvmlite.binding as llvm
import llvmlite.ir as ir

from recurra.recurrence.cpu import amx, pairs
from recurra.recurrence.cpu.machine import Code, DType, Machine, compile_module, lanes
from recurra.recurrence.cpu.streaming import emit_columns, emit_dots
from recurra.recurrence.cpu.tile import emit_pack, emit_tile
from recurra.recurrence.cpu.vector import Vectors


class Kernels:
    """The addresses of the product functions for one machine and float type.

    Args:
        pairs: whether tiles and packing are of operands rounded to bfloat16, two in the place of a float32.

    All counts are 64-bit integers and all pointers of any alignment; buffers are never touched outside what the
    formulas name. A function of another thread may ask at the same time.
    """

    def __init__(self, machine: Machine, dtype: DType, pairs: bool) -> None:
        self.machine, self.dtype, self.lanes, self.pairs = machine, dtype, lanes(machine, dtype), pairs
        self.tiles = pairs and machine.bfloat16 == "amx"
        self._compiled: dict[tuple[str | int, ...], Code] = {}
        self._lock = threading.Lock()

    def rows_limit(self, vectors: int) -> int:
        """The rows of the largest tile that is worth having.

        Its sums, a row of the panel and one factor stay in registers. Twelve rows of one or two vectors would be 4 to
        7 % faster than eight, but each number of rows is one more function to compile.
        """
        if self.tiles:
            return 2 * amx.ROWS
        return min(max(1, (self.machine.registers - vectors - 1) // vectors), 8)

    def tile(self, vectors: int, rows: int, int8: bool = False) -> int:
        """`tile.emit_tile`'s function for so many vectors and rows, of a panel of int8 or of the float type.

        Raises:
            ValueError: sizes below one.
        """
        if vectors < 1 or rows < 1:
            raise ValueError(f"a tile has at least one vector and one row, got {vectors} and {rows}")

        def emit(module: ir.Module) -> None:
            if self.tiles:
                amx.emit_amx_tile(module, vectors, rows)
            else:
                times = pairs.dot if self.pairs else Vectors.fma
                emit_tile(module, self.dtype, self.lanes, vectors, rows, times, int8)

        return self._address("tile", emit, vectors, rows, int8)

    def pack(self, int8: bool = False) -> int:
        """`tile.emit_pack`'s function, or `pairs.emit_pack_pairs`'s."""
        if self.pairs:
            return self._address("pack", lambda module: pairs.emit_pack_pairs(module, self.lanes))
        return self._address("pack", lambda module: emit_pack(module, "int8" if int8 else self.dtype, self.lanes), int8)

    def round(self) -> int:
        """`pairs.emit_round`'s function."""
        return self._address("round", lambda module: pairs.emit_round(module, self.lanes))

    def collect(self) -> int:
        """`pairs.emit_collect`'s function."""
        return self._address("collect", lambda module: pairs.emit_collect(module, self.lanes))

    def dots(self, int8: bool = False) -> int:
        """`streaming.emit_dots`'s function."""
        abreast = 2 if self.machine.registers == 32 else 1
        return self._address("dots", lambda module: emit_dots(module, self.dtype, self.lanes, int8, abreast), int8)

    def columns(self, int8: bool = False) -> int:
        """`streaming.emit_columns`'s function."""
        return self._address("columns", lambda module: emit_columns(module, self.dtype, self.lanes, int8), int8)

    def _address(self, name: str, emit: Callable[[ir.Module], None], *sizes: int) -> int:
        key: tuple[str | int, ...] = (name, *sizes)
        with self._lock:
            if key not in self._compiled:
                module = ir.Module(name)
                emit(module)
                self._compiled[key] = compile_module(module, self.machine, optimise=False)
            return self._compiled[key].address(name)


_lock = threading.Lock()


def kernels(machine: Machine, dtype: DType, pairs: bool = False) -> Kernels:
    """The process's kernels for a machine and float type; the addresses stay good for ever."""
    with _lock:  # two of them made at the same time would leave one to be freed under its callers
        return _kernels(machine, dtype, pairs)


@cache
def _kernels(machine: Machine, dtype: DType, pairs: bool) -> Kernels:
    return Kernels(machine, dtype, pairs)


def declare(module: ir.Module, dtype: DType, address: int, kinds: list[ir.Type]) -> ir.Function:
    """A compiled function at a known address, so that ``module`` can call it."""
    name = f"recurra_{dtype}_{address:x}"
    llvm.add_symbol(name, address)
    known = module.globals.get(name)
    return known or ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
