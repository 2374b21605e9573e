"""Which product kernels a loop calls: compiled when a number of rows first needs them, found through a table."""

import ctypes
from collections.abc import Iterator
from functools import lru_cache

from recurra.recurrence.cpu.layout import Layout
from recurra.recurrence.cpu.products import Kernels


def limits(layout: Layout, kernels: Kernels) -> dict[tuple[int, int], int]:
    """The most rows that the tiles of each group take at once, by stage and group."""
    return {
        group: min(kernels.rows_limit(len(tile.columns)) for tile in tiles)
        for group, tiles in layout.tiles.items()
        if tiles
    }


def offsets(layout: Layout, kernels: Kernels) -> dict[tuple[int, bool], int]:
    """Where each tile's kernels begin in the table; their numbers of rows follow, from 0 on."""
    found, size = {}, 0
    for kernel in sorted({tile.kernel for tiles in layout.tiles.values() for tile in tiles}):
        found[kernel] = size
        size += kernels.rows_limit(kernel[0]) + 1
    return found


class Table:
    """The addresses of the product kernels that one loop may call."""

    def __init__(self, layout: Layout, kernels: Kernels) -> None:
        self._kernels, self._offsets = kernels, offsets(layout, kernels)
        most = limits(layout, kernels)
        self._uses = {(tile.kernel, most[group]) for group, tiles in layout.tiles.items() for tile in tiles}
        size = sum(kernels.rows_limit(vectors) + 1 for vectors, _ in self._offsets)
        self._addresses = (ctypes.c_int64 * max(size, 1))()
        self._ready: set[tuple[int, int]] = set()

    def address(self, batch: int, parts: int) -> int:
        """The table's own address, with every kernel in place that ``batch`` rows need, shared among ``parts``
        threads, or fewer."""
        if (batch, parts) not in self._ready:
            for kernel, limit in self._uses:
                for rows in run_sizes(batch, parts, limit):
                    vectors, int8 = kernel
                    self._addresses[self._offsets[kernel] + rows] = self._kernels.tile(vectors, rows, int8)
            self._ready.add((batch, parts))
        return ctypes.addressof(self._addresses)


@lru_cache(maxsize=1024)
def run_sizes(batch: int, parts: int, limit: int) -> frozenset[int]:
    """The numbers of rows that are multiplied at once where ``parts`` threads, or fewer, share a batch."""
    return frozenset(size for team in range(1, parts + 1) for size in _sizes(batch, team, limit))


def _sizes(batch: int, team: int, limit: int) -> Iterator[int]:
    for thread in range(team):
        count = batch * (thread + 1) // team - batch * thread // team
        runs = -(-count // limit)
        yield from {count * (run + 1) // runs - count * run // runs for run in range(runs)}
