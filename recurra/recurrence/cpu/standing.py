"""Loops that stand ready for calls whose tensors have known shapes: all that does not change is written down once."""

import ctypes
from collections import OrderedDict
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from recurra.recurrence.cpu import pool
from recurra.recurrence.cpu.handover import DONE, SCATTERED, TABLE, expected
from recurra.recurrence.cpu.launch import Compiled
from recurra.recurrence.cpu.layout import WORDS, arguments
from recurra.recurrence.cpu.team import BARRIER_BYTES
from recurra.recurrence.program import Product

IDLE = 1e-3
"""Seconds after which the pool's threads sleep."""

Address = tuple[int, int]
"""A place in memory: one of a call's tensors, and bytes behind its start."""


class Kind(NamedTuple):
    """The shape and type of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def empty(self) -> Tensor:
        return torch.empty(self.shape, dtype=self.dtype)


class Copy(NamedTuple):
    """Bytes to copy when the loop has run, where it leaves a result elsewhere, or for several."""

    source: Address
    target: int
    size: int


class Threads(NamedTuple):
    """How many share a call, whether its rows or its features, and whether they are woken if they sleep."""

    team: int
    by_rows: bool
    wakes: bool


class Standing:
    """A loop for calls of so many steps and rows.

    Args:
        handover: see `Handover.call`.
        kinds: of the tensors of a call, in order.
        words: for each argument of the loop, by (kind, index), an address or stride for each of its words.
        panels: for packed weights.

    Attributes:
        size: bytes of what it works in.
    """

    def __init__(
        self,
        handover: Any,
        compiled: Compiled,
        steps: int,
        rows: int,
        kinds: Sequence[Kind],
        words: Callable[[str, int], list[Address | int]],
        copies: Sequence[Copy],
        threads: Threads,
        panels: Tensor,
    ) -> None:
        self._handover, self._threads, self._last = handover, threads, 0.0
        team, by_rows, _ = threads
        dtype, layout = panels.dtype, compiled.layout
        tiles, row = compiled.tile_memory
        barrier = torch.zeros(BARRIER_BYTES // 8, dtype=torch.int64)
        scratch = torch.empty(2 * rows * layout.scratch_size, dtype=dtype)
        sums = torch.empty(team * (tiles + row * rows), dtype=dtype)
        head = {"steps": steps, "batch": rows, "by_rows": 0 if by_rows else rows + 1}
        head |= {"barrier": barrier.data_ptr(), "scratch": scratch.data_ptr(), "tiles": sums.data_ptr()}
        head |= {"panels": panels.data_ptr(), "kernels": compiled.table.address(rows, team if by_rows else 1)}
        every = [head.get(name, 0) for name in WORDS]
        entries = []
        for kind, index, _ in arguments(layout):
            for word in words(kind, index):
                if isinstance(word, tuple):
                    entries.append((len(every), *word))
                every.append(word if isinstance(word, int) else 0)
        arrays = {
            "expected*": _array([expected(*kind) for kind in kinds]),
            "entry*": _array(entries),
            "copy*": _array([(*copy.source, copy.target, copy.size) for copy in copies]),
            "words*": _array([every]),
        }
        table = {"tensors": len(kinds), "entries": len(entries), "copies": len(copies)}
        table |= {name: ctypes.addressof(array) for name, array in arrays.items()}
        table |= {"loop": compiled.address, "parallel": pool.parallel()}
        found = _array([[table[name] for name in TABLE]])
        self._table = ctypes.addressof(found)
        self._held = barrier, scratch, sums, panels, arrays, found, compiled
        self.size = sum(tensor.nbytes for tensor in (barrier, scratch, sums))

    def run(self, tensors: list[Tensor], own: int) -> bool:
        """Run the loop on these tensors; False, and nothing has run, where they are not of the kinds it stands for.

        Args:
            own: the first of those that the library has made; any before may have other strides.
        """
        threads = self._threads
        awake = threads.team > 1 and (threads.wakes or perf_counter() - self._last < IDLE)
        team = min(threads.team, pool.most()) if awake else 1
        answer = self._handover(tensors, self._table, team)
        if answer == SCATTERED:
            together = [*map(Tensor.contiguous, tensors[:own]), *tensors[own:]]
            answer = self._handover(together, self._table, team)
        if threads.team > 1:
            self._last = perf_counter()
        return answer == DONE


def product_words(compiled: Compiled, index: int, weights: int, kinds: Sequence[Kind]) -> list[Address | int]:
    """The words of a product, where ``weights`` is the first of them."""
    program = compiled.layout.program
    node = program.nodes[index]
    assert isinstance(node, Product)
    row = program.weights[node.index][1]
    start = (node.rows.start * row + node.columns.start) * kinds[weights + node.index].dtype.itemsize
    return [(weights + node.index, start), *((1, row) if node.transposed else (row, 1))]


MOST_KNOWN, MOST_HELD = 64, 16 << 20
"""Calls that something stands ready for in a thread, and bytes of what they work in."""


Key = TypeVar("Key")
Value = TypeVar("Value")


class Known(Generic[Key, Value]):
    """What has been used last, so many that they hold no more than `MOST_HELD` bytes."""

    def __init__(self) -> None:
        self._found: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._held = 0

    def get(self, key: Key) -> Value | None:
        found = self._found.get(key)
        if found is None:
            return None
        self._found.move_to_end(key)
        return found[0]

    def add(self, key: Key, value: Value, size: int) -> None:
        """Keep a new one, which takes ``size`` bytes."""
        self._found[key] = value, size
        self._held += size
        while len(self._found) > 1 and (len(self._found) > MOST_KNOWN or self._held > MOST_HELD):
            self._held -= self._found.popitem(last=False)[1][1]


def _array(rows: Sequence[Sequence[int]]) -> ctypes.Array[ctypes.c_int64]:
    """The words of all rows, one after the other."""
    words = [word for row in rows for word in row]
    return (ctypes.c_int64 * len(words))(*words)
