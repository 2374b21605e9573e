"""Short calls without gradients: no dispatcher, nothing allocated but the results; what they work in is kept."""

import ctypes
import threading
from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.cpu import pool
from recurra.recurrence.cpu.execute import SMALLEST_SHARE, compile_program, team_for
from recurra.recurrence.cpu.handover import DONE, SCATTERED, TABLE, Handover, expected
from recurra.recurrence.cpu.layout import WORDS, arguments
from recurra.recurrence.cpu.machine import DTYPES, host, lanes
from recurra.recurrence.cpu.team import BARRIER_BYTES
from recurra.recurrence.program import Product, Program

IDLE, WAKING = 1e-3, 4_000_000
"""Seconds after which the pool's threads sleep, and multiplications below which waking them costs more than they
save in a step."""

SMALLEST_STEP = 200_000
"""Multiplications below which opening a parallel region for one step costs more than it saves."""

MOST_KNOWN, MOST_HELD = 64, 16 << 20
"""Forms of calls that a thread keeps prepared, and bytes of what they work in."""


class Form(NamedTuple):
    """The shapes of a call.

    Args:
        steps, rows: how many.
        time: the dimension of time of sequences and outputs, 0 where there is more than one step; None for a step's
            tensors without.
        lead: whether states have a dimension of one before that of rows.
    """

    steps: int
    rows: int
    time: int | None
    lead: bool

    def series(self, width: int) -> tuple[int, ...]:
        """The shape of a sequence or an output."""
        sizes = {None: (self.rows,), 0: (self.steps, self.rows), 1: (self.rows, self.steps)}[self.time]
        return *sizes, width

    def state(self, width: int) -> tuple[int, ...]:
        """The shape of a state."""
        return (1, self.rows, width) if self.lead else (self.rows, width)


class Direct:
    """A program compiled for short calls.

    Args:
        single: whether these are of one step, and nothing is computed before it.
        packed: whether weights are packed in every call, or read where they lie, which is faster for one step of few
            rows.

    Attributes:
        kinds: the types of the weights.
        whole: whether the loop is all there is to compute.
    """

    def __init__(self, program: Program, dtype: torch.dtype, handover: Handover, single: bool, packed: bool) -> None:
        kept = frozenset(state for state, node in enumerate(program.next) if node in program.outputs)
        what = program, kept, frozenset[int](), DTYPES[dtype]
        if single:
            self.compiled = compile_program(*what, single=True, packed=packed)
        else:  # the arguments with which longer calls have compiled it
            self.compiled = compile_program(*what, own=None, halves=frozenset())
        self.program, self.dtype, self.single = self.compiled.layout.program, dtype, single
        cut = self.compiled.layout.schedule
        self.whole = not (cut.entering or cut.hoisted or cut.deferred)
        self.kinds = [torch.int8 if index in program.int8 else dtype for index in range(len(program.weights))]
        self._handover, self._local = handover.call, Local()

    def again(
        self, given: list[Tensor], weights: list[Tensor], time: int | None = None, lead: bool = False
    ) -> list[Tensor] | None:
        """The new states and the outputs of a call like this thread's last; None for any other.

        Args:
            given: sequences and states.
            time, lead: see `Form`.
        """
        ready = self._local.ready
        return None if ready is None or ready.ways != (time, lead) else self._run(ready, given, weights)

    def first(self, given: list[Tensor], weights: list[Tensor], form: Form) -> list[Tensor] | None:
        """The same for a call of any form; None where the tensors are not what the program takes."""
        known = self._local.known
        if form not in known:
            ready = Ready(self, form, self._panels())
            if len(known) == MOST_KNOWN or self._local.held + ready.size > MOST_HELD:
                known.clear()
                self._local.held = 0
            known[form] = ready
            self._local.held += ready.size
        self._local.ready = known[form]
        return self._run(known[form], given, weights)

    def _panels(self) -> Tensor:
        """This thread's memory for packed weights."""
        if self._local.panels is None:
            self._local.panels = torch.empty(self.compiled.layout.panels, dtype=self.dtype)
        return self._local.panels

    def _run(self, ready: "Ready", given: list[Tensor], weights: list[Tensor]) -> list[Tensor] | None:
        new = list(map(torch.empty_like, ready.like))
        awake = ready.team > 1 and (ready.wakes or perf_counter() - ready.last < IDLE)
        team = min(ready.team, pool.most()) if awake else 1
        answer = self._handover([*given, *weights, *new, *ready.slots], ready.table, team)
        if answer == SCATTERED:
            together = [*map(Tensor.contiguous, given), *map(Tensor.contiguous, weights), *new, *ready.slots]
            answer = self._handover(together, ready.table, team)
        if ready.team > 1:
            ready.last = perf_counter()
        return new if answer == DONE else None


def is_wide(program: Program, dtype: torch.dtype) -> bool:
    """Whether every product gives enough numbers for a vector, so that packing reads nothing behind its matrix."""
    least = lanes(host(), DTYPES[dtype])
    return all(node.width >= least for node in program.nodes if isinstance(node, Product))


class Ready:
    """What a thread has prepared for calls of a form. Their tensors are, in this order: sequences, states, weights, new
    states, outputs, and memory for states that alternate.

    Args:
        panels: for packed weights.

    Attributes:
        ways: the form's ``time`` and ``lead``.
        like: tensors like those that a call gives, new states and outputs.
        slots: the last of the tensors.
        team: the threads that share a call.
        wakes: whether they do so if they sleep.
        last: when a call ended.
        table: the address of what the handover is given.
        size: bytes that are held for it.
    """

    def __init__(self, direct: Direct, form: Form, panels: Tensor) -> None:
        compiled, program, dtype = direct.compiled, direct.program, direct.dtype
        steps, rows = form.steps, form.rows
        self.ways, self.last = (form.time, form.lead), 0.0
        least = SMALLEST_STEP if direct.single else SMALLEST_SHARE
        self.team, by_rows = team_for(compiled.work, rows, least)
        by_rows = by_rows and not direct.single  # each thread would read, or pack, all weights for one step
        self.wakes = not direct.single or compiled.work * rows >= WAKING
        outputs = [program.nodes[node].width for node in program.outputs]
        alternating = [state for state in range(len(program.states)) if steps > 1 and state not in compiled.layout.kept]
        shapes = [form.series(width) for width in program.sequences]
        shapes += [form.state(width) for width in program.states]
        shapes += program.weights
        new = [*map(form.state, program.states), *map(form.series, outputs)]
        slots = [(2, rows, program.states[state]) for state in alternating]
        self.like = [torch.empty(shape, dtype=dtype) for shape in new]
        self.slots = [torch.empty(shape, dtype=dtype) for shape in slots]
        first = len(program.sequences) + len(program.states)
        kinds = [dtype] * first + direct.kinds + [dtype] * len(new + slots)
        places = _Places(direct, form, {state: len(shapes) + len(new) + i for i, state in enumerate(alternating)})
        tiles, row = compiled.tile_memory
        barrier = torch.zeros(BARRIER_BYTES // 8, dtype=torch.int64)
        scratch = torch.empty(2 * rows * compiled.layout.scratch_size, dtype=dtype)
        sums = torch.empty(self.team * (tiles + row * rows), dtype=dtype)
        head = {"steps": steps, "batch": rows, "by_rows": 0 if by_rows else rows + 1}
        head |= {"barrier": barrier.data_ptr(), "scratch": scratch.data_ptr(), "tiles": sums.data_ptr()}
        head |= {"panels": panels.data_ptr()}
        head |= {"kernels": compiled.table.address(rows, self.team if by_rows else 1)}
        shapes += [*new, *slots]
        arrays = {
            "expected*": _array([expected(*each) for each in zip(shapes, kinds, strict=True)]),
            "entry*": _array(places.entries),
            "copy*": _array(places.copies),
            "words*": _array([[head.get(name, 0) for name in WORDS], places.words]),
        }
        table = {"tensors": len(shapes), "entries": len(places.entries), "copies": len(places.copies)}
        table |= {name: ctypes.addressof(array) for name, array in arrays.items()}
        table |= {"loop": compiled.address, "parallel": pool.parallel()}
        words = _array([[table[name] for name in TABLE]])
        self.table = ctypes.addressof(words)
        self.size = sum(tensor.nbytes for tensor in (*self.like, *self.slots, barrier, scratch, sums))
        self._held = barrier, scratch, sums, panels, arrays, words, compiled


class _Places:
    """Where the tensors of a call stand among the loop's arguments.

    Args:
        slots: which tensor is the memory of an alternating state.

    Attributes:
        words: the loop's arguments but the first ones, 0 for each address.
        entries: for each address its place among the arguments, the tensor, and bytes behind its start.
        copies: results that the loop leaves elsewhere, or for others: source, bytes behind its start, target and size.
            Each has memory of its own, so that any may be edited in place.
    """

    def __init__(self, direct: Direct, form: Form, slots: dict[int, int]) -> None:
        self._program, self._form, self._slots, self._kinds = direct.program, form, slots, direct.kinds
        self._size, self._kept = direct.dtype.itemsize, direct.compiled.layout.kept
        program = self._program
        self._states = len(program.sequences)
        self._weights = self._states + len(program.states)
        self._new = self._weights + len(program.weights)
        self._outputs = self._new + len(program.states)
        self.words: list[int] = []
        self.entries: list[tuple[int, int, int]] = []
        for kind, index, _ in arguments(direct.compiled.layout):
            addresses, strides = self._argument(kind, index)
            self.entries += [(len(WORDS) + len(self.words) + i, *address) for i, address in enumerate(addresses)]
            self.words += [*(0 for _ in addresses), *strides]
        self.copies = [*self._ends(), *self._twins()]

    def _argument(self, kind: str, index: int) -> tuple[list[tuple[int, int]], tuple[int, ...]]:
        """The tensors whose addresses an argument begins with, and the bytes behind their starts; then its strides."""
        program, rows = self._program, self._form.rows
        match kind:
            case "product":
                node = program.nodes[index]
                assert isinstance(node, Product)
                row = program.weights[node.index][1]
                start = (node.rows.start * row + node.columns.start) * self._kinds[node.index].itemsize
                return [(self._weights + node.index, start)], (1, row) if node.transposed else (row, 1)
            case "vector":
                return [(self._weights + index, 0)], ()
            case "state":
                return [(self._states + index, 0), (self._slot(index), 0)], ()
            case "leaving":
                width = program.nodes[index].width
                return [(self._outputs + program.outputs.index(index), 0)], (rows * width, width)
            case _:
                width = program.sequences[index]
                return [(index, 0)], (rows * width, width)

    def _slot(self, state: int) -> int:
        """The tensor in which the loop leaves a state: an output, one that alternates, or the new state itself."""
        if state in self._kept:
            return self._outputs + self._program.outputs.index(self._program.next[state])
        return self._slots.get(state, self._new + state)

    def _ends(self) -> list[tuple[int, int, int, int]]:
        """The copies of last states."""
        last, found = self._form.steps - 1, []
        for state, width in enumerate(self._program.states):
            if (slot := self._slot(state)) != self._new + state:
                size = self._form.rows * width * self._size
                found.append((slot, (last if state in self._kept else last & 1) * size, self._new + state, size))
        return found

    def _twins(self) -> list[tuple[int, int, int, int]]:
        """The copies of outputs that are others too."""
        outputs, found = self._program.outputs, []
        for place, node in enumerate(outputs):
            if (first := outputs.index(node)) < place:
                size = self._form.steps * self._form.rows * self._program.nodes[node].width * self._size
                found.append((self._outputs + first, 0, self._outputs + place, size))
        return found


class Local(threading.local):
    """What a thread works in: as for its last call, for the forms it has met, their bytes, and packed weights."""

    def __init__(self) -> None:
        self.ready: Ready | None = None
        self.known: dict[Form, Ready] = {}
        self.held = 0
        self.panels: Tensor | None = None


def _array(rows: Sequence[Sequence[int]]) -> ctypes.Array[ctypes.c_int64]:
    """The words of all rows, one after the other."""
    words = [word for row in rows for word in row]
    return (ctypes.c_int64 * len(words))(*words)
