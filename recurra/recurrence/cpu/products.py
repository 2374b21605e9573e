"""Matrix products as compiled functions, independent of any program: made when first asked for, then kept."""

import threading
from collections.abc import Callable
from functools import cache

import llvmlite.binding as llvm
import llvmlite.ir as ir

from recurra.recurrence.cpu.machine import Code, DType, Machine, compile_module, lanes
from recurra.recurrence.cpu.streaming import emit_columns, emit_dots
from recurra.recurrence.cpu.tile import emit_pack, emit_tile


class Kernels:
    """The addresses of the product functions for one machine and float type.

    All counts are 64-bit integers and all pointers of any alignment; buffers are never touched outside what the
    formulas name. A function of another thread may ask at the same time.
    """

    def __init__(self, machine: Machine, dtype: DType) -> None:
        self.machine, self.dtype, self.lanes = machine, dtype, lanes(machine, dtype)
        self._compiled: dict[tuple[str | int, ...], Code] = {}
        self._lock = threading.Lock()

    def rows_limit(self, vectors: int) -> int:
        """The rows of the largest tile that is worth having.

        Its sums, a row of the panel and one factor stay in registers. Twelve rows of one or two vectors would be 4 to
        7 % faster than eight, but each number of rows is one more function to compile.
        """
        return min(max(1, (self.machine.registers - vectors - 1) // vectors), 8)

    def tile(self, vectors: int, rows: int) -> int:
        """`tile.emit_tile`'s function for so many vectors and rows.

        Raises:
            ValueError: sizes below one.
        """
        if vectors < 1 or rows < 1:
            raise ValueError(f"a tile has at least one vector and one row, got {vectors} and {rows}")
        return self._address(
            "tile", lambda module: emit_tile(module, self.dtype, self.lanes, vectors, rows), vectors, rows
        )

    def pack(self) -> int:
        """`tile.emit_pack`'s function."""
        return self._address("pack", lambda module: emit_pack(module, self.dtype, self.lanes))

    def dots(self) -> int:
        """`streaming.emit_dots`'s function."""
        return self._address("dots", lambda module: emit_dots(module, self.dtype, self.lanes))

    def columns(self) -> int:
        """`streaming.emit_columns`'s function."""
        return self._address("columns", lambda module: emit_columns(module, self.dtype, self.lanes))

    def _address(self, name: str, emit: Callable[[ir.Module], None], *sizes: int) -> int:
        key: tuple[str | int, ...] = (name, *sizes)
        with self._lock:
            if key not in self._compiled:
                module = ir.Module(name)
                emit(module)
                self._compiled[key] = compile_module(module, self.machine, optimise=False)
            return self._compiled[key].address(name)


_lock = threading.Lock()


def kernels(machine: Machine, dtype: DType) -> Kernels:
    """The process's kernels for a machine and float type; the addresses stay good for ever."""
    with _lock:  # two of them made at the same time would leave one to be freed under its callers
        return _kernels(machine, dtype)


@cache
def _kernels(machine: Machine, dtype: DType) -> Kernels:
    return Kernels(machine, dtype)


def declare(module: ir.Module, dtype: DType, address: int, kinds: list[ir.Type]) -> ir.Function:
    """A compiled function at a known address, so that ``module`` can call it."""
    name = f"recurra_{dtype}_{address:x}"
    llvm.add_symbol(name, address)
    known = module.globals.get(name)
    return known or ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
