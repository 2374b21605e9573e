"""One step of a stream: no dispatcher, nothing allocated but the results, weights read where they lie."""

import ctypes
import threading
from collections.abc import Sequence
from time import perf_counter

import torch
from torch import Tensor

from recurra.recurrence.cpu import pool
from recurra.recurrence.cpu.execute import compile_program, team_for
from recurra.recurrence.cpu.handover import DONE, SCATTERED, TABLE, Handover, expected
from recurra.recurrence.cpu.layout import WORDS, arguments
from recurra.recurrence.cpu.machine import DTYPES
from recurra.recurrence.cpu.team import BARRIER_BYTES
from recurra.recurrence.program import Product, Program

IDLE = 1e-3
"""Seconds after which the pool's threads sleep, and waking them costs more than they save in a step."""

SMALLEST_SHARE = 200_000
"""Multiplications below which opening a parallel region for one step costs more than it saves."""


class Single:
    """A program compiled for single steps of few rows.

    Attributes:
        kinds: the types of the weights.
        words: the loop's arguments but the first ones, 0 for each address.
        entries: for each address its place among the arguments, the tensor, and bytes behind its start. Tensors are
            counted in the order of a step's: sequences, states, weights, new states, outputs.
        copies: outputs that are states, or other outputs: source, target and width. Each has memory of its own, so that
            any may be edited in place.
    """

    def __init__(self, program: Program, dtype: torch.dtype, handover: Handover) -> None:
        kept = frozenset(state for state, node in enumerate(program.next) if node in program.outputs)
        self.compiled = compile_program(program, kept, frozenset(), DTYPES[dtype], single=True, packed=False)
        self.program, self.dtype = self.compiled.layout.program, dtype
        self._handover, self._local = handover.call, Local()
        program = self.program
        self.kinds = [torch.int8 if index in program.int8 else dtype for index in range(len(program.weights))]
        self._states = len(program.sequences)
        self._weights = self._states + len(program.states)
        self._new = self._weights + len(program.weights)
        self._outputs = self._new + len(program.states)
        self.words: list[int] = []
        self.entries: list[tuple[int, int, int]] = []
        for kind, index, _ in arguments(self.compiled.layout):
            addresses, strides = self._argument(kind, index)
            self.entries += [(len(WORDS) + len(self.words) + i, *address) for i, address in enumerate(addresses)]
            self.words += [*(0 for _ in addresses), *strides]
        self.copies: list[tuple[int, int, int]] = []
        for place, node in enumerate(program.outputs):
            first = program.outputs.index(node)
            if node in program.next or first < place:
                source = self._new + program.next.index(node) if node in program.next else self._outputs + first
                self.copies.append((source, self._outputs + place, program.nodes[node].width))

    def _argument(self, kind: str, index: int) -> tuple[list[tuple[int, int]], tuple[int, ...]]:
        """The tensors whose addresses an argument begins with, and the bytes behind their starts; then its strides."""
        match kind:
            case "product":
                node = self.program.nodes[index]
                assert isinstance(node, Product)
                row = self.program.weights[node.index][1]
                start = (node.rows.start * row + node.columns.start) * self.kinds[node.index].itemsize
                return [(self._weights + node.index, start)], (1, row) if node.transposed else (row, 1)
            case "vector":
                return [(self._weights + index, 0)], ()
            case "state":
                return [(self._states + index, 0), (self._new + index, 0)], ()
            case "leaving":
                return [(self._outputs + self.program.outputs.index(index), 0)], (0, self.program.nodes[index].width)
            case _:
                return [(index, 0)], (0, self.program.sequences[index])

    def again(self, given: list[Tensor], weights: list[Tensor], time: int | None = None) -> list[Tensor] | None:
        """The new states and the outputs of a step like this thread's last; None for any other.

        Args:
            given: sequences and states.
            time: see `Ready`.
        """
        ready = self._local.ready
        return None if ready is None or ready.time != time else self._run(ready, given, weights)

    def first(
        self, given: list[Tensor], weights: list[Tensor], rows: int, time: int | None = None
    ) -> list[Tensor] | None:
        """The same for a step of any few rows; None where the tensors are not what the program takes."""
        known = self._local.known
        if (rows, time) not in known:
            known[rows, time] = Ready(self, rows, time)
        self._local.ready = known[rows, time]
        return self._run(known[rows, time], given, weights)

    def _run(self, ready: "Ready", given: list[Tensor], weights: list[Tensor]) -> list[Tensor] | None:
        new = list(map(torch.empty_like, ready.like))
        awake = ready.team > 1 and perf_counter() - ready.last < IDLE
        team = min(ready.team, pool.most()) if awake else 1
        answer = self._handover([*given, *weights, *new], ready.table, team)
        if answer == SCATTERED:
            together = [*map(Tensor.contiguous, given), *map(Tensor.contiguous, weights), *new]
            answer = self._handover(together, ready.table, team)
        if ready.team > 1:
            ready.last = perf_counter()
        return new if answer == DONE else None


class Ready:
    """What a thread has prepared for steps of so many rows.

    Args:
        time: the dimension of time, of length one, of sequences and outputs; states then have one at the front. None
            for tensors without.

    Attributes:
        like: tensors like those that a step gives, new states and outputs.
        team: the threads that share a step.
        last: when a step ended.
        table: the address of what the handover is given.
    """

    def __init__(self, single: Single, rows: int, time: int | None) -> None:
        program, dtype = single.program, single.dtype
        self.time, self.last = time, 0.0
        self.team, by_rows = team_for(single.compiled.work, rows, SMALLEST_SHARE)
        sequences = [_shape(rows, width, time) for width in program.sequences]
        states = [_shape(rows, width, None if time is None else 0) for width in program.states]
        outputs = [_shape(rows, program.nodes[node].width, time) for node in program.outputs]
        self.like = [torch.empty(shape, dtype=dtype) for shape in (*states, *outputs)]
        shapes = [*sequences, *states, *program.weights, *states, *outputs]
        kinds = [dtype] * len(sequences + states) + single.kinds + [dtype] * len(states + outputs)
        barrier = torch.zeros(BARRIER_BYTES // 8, dtype=torch.int64)
        scratch = torch.empty(2 * rows * single.compiled.layout.scratch_size, dtype=dtype)
        head = {"steps": 1, "batch": rows, "by_rows": 0 if by_rows else rows + 1}
        head |= {"barrier": barrier.data_ptr(), "scratch": scratch.data_ptr()}
        arrays = {
            "expected*": _array([expected(*each) for each in zip(shapes, kinds, strict=True)]),
            "entry*": _array(single.entries),
            "copy*": _array([(*copy, rows * width * dtype.itemsize) for *copy, width in single.copies]),
            "words*": _array([[head.get(name, 0) for name in WORDS], single.words]),
        }
        table = {"tensors": len(shapes), "entries": len(single.entries), "copies": len(single.copies)}
        table |= {name: ctypes.addressof(array) for name, array in arrays.items()}
        table |= {"loop": single.compiled.address, "parallel": pool.parallel()}
        words = _array([[table[name] for name in TABLE]])
        self.table = ctypes.addressof(words)
        self._held = barrier, scratch, arrays, words, single.compiled


class Local(threading.local):
    """What a thread works in: as for its last step, and for all numbers of rows it has met."""

    def __init__(self) -> None:
        self.ready: Ready | None = None
        self.known: dict[tuple[int, int | None], Ready] = {}


def _shape(rows: int, width: int, time: int | None) -> tuple[int, ...]:
    """``(rows, width)``, with a dimension of one step where ``time`` says."""
    return {None: (rows, width), 0: (1, rows, width), 1: (rows, 1, width)}[time]


def _array(rows: Sequence[Sequence[int]]) -> ctypes.Array[ctypes.c_int64]:
    """The words of all rows, one after the other."""
    words = [word for row in rows for word in row]
    return (ctypes.c_int64 * len(words))(*words)
