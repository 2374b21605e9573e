"""A loop that has been compiled, and the words it is given: numbers, and the addresses of the user's tensors."""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn import functional as F

from recurra.recurrence.batched import Arguments, Series
from recurra.recurrence.cpu import pool
from recurra.recurrence.cpu.layout import Layout, arguments
from recurra.recurrence.cpu.machine import Code
from recurra.recurrence.cpu.tables import Table
from recurra.recurrence.program import Product


class Compiled(NamedTuple):
    """A loop that can be called: by a team of its own, or by ``share`` of any threads as each one's part."""

    layout: Layout
    code: Code
    function: Any
    address: int
    share: int
    work: int
    tile_memory: tuple[int, int]
    table: Table


class Memory(NamedTuple):
    """What the loop of a call works in, and the threads it is for: they share rows where ``by_rows`` of them run."""

    team: int
    by_rows: int
    tensors: tuple[Tensor, ...]
    kernels: int


class Launch(NamedTuple):
    """A loop with the words it is given, and the team these are for. ``held`` has to live until it has run."""

    compiled: Compiled
    words: Any
    team: int
    held: list[Tensor]

    def run(self) -> None:
        """By itself."""
        pool.run(self.compiled.function, self.compiled.address, self.words, self.team)


def launch(
    compiled: Compiled,
    steps: int,
    batch: int,
    given: Arguments,
    series: Series,
    slots: Sequence[Tensor],
    memory: Memory,
    packed: bool,
) -> Launch:
    """Hand the tensors over, in the order of `arguments`."""
    layout = compiled.layout
    held: list[Tensor] = []

    def flat(tensor: Tensor) -> tuple[int, ...]:
        strides = tensor.stride()
        if strides[-1] != 1 and tensor.shape[-1] != 1:
            held.append(tensor.contiguous())
            return held[-1].data_ptr(), *held[-1].stride()
        return tensor.data_ptr(), *strides

    begins = 0 if given.packing is None else given.packing.begins.data_ptr()
    working = [*map(Tensor.data_ptr, memory.tensors), memory.kernels]
    words = [steps, batch, memory.by_rows, int(memory.team == 1), *working, int(packed), begins]
    for kind, index, _ in arguments(layout):
        match kind:
            case "sequence" | "delayed" | "entering" | "leaving":
                address, *strides = flat(series[index] if kind in ("entering", "leaving") else given.sequences[index])
                words += [address, strides[0], strides[-2]]
                if kind == "delayed":
                    words += flat(given.starts[index])[:2]
            case "row":
                words += flat(given.rows[index])[:2]
            case "vector":
                words += flat(given.weights[index])[:1]
            case "product":
                words += _matrix(layout, index, given.weights, held)
            case "state":
                held.append(given.states[index].contiguous())
                words += [held[-1].data_ptr(), slots[index].data_ptr()]
    return Launch(compiled, (ctypes.c_int64 * len(words))(*words), memory.team, held)


def _matrix(layout: Layout, product: int, weights: Sequence[Tensor], held: list[Tensor]) -> tuple[int, int, int]:
    """A product's matrix: its address, and how far apart its results and its operands are."""
    node = layout.program.nodes[product]
    assert isinstance(node, Product)
    weight = weights[node.index]
    down, across = weight.stride()
    start = node.rows.start * down + node.columns.start * across
    down, across = (across, down) if node.transposed else (down, across)
    if node.width >= layout.lanes:
        return weight.data_ptr() + start * weight.element_size(), down, across
    # too few results for a vector: the kernel would read behind the matrix
    block = weight.as_strided((node.width, node.depth), (down, across), weight.storage_offset() + start)
    held.append(F.pad(block, (0, 0, 0, layout.lanes - node.width)))
    return held[-1].data_ptr(), node.depth, 1
