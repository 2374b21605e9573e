"""Short calls: no dispatcher, nothing allocated but the results; what they work in is kept."""

import threading
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.cpu.execute import SMALLEST_SHARE, team_for
from recurra.recurrence.cpu.launch import Compiled
from recurra.recurrence.cpu.machine import DTYPES, host, lanes
from recurra.recurrence.cpu.standing import Address, Copy, Kind, Known, Standing, Threads, product_words
from recurra.recurrence.program import Product, Program

WAKING = 4_000_000
"""Multiplications below which waking the pool's threads costs more than they save in a step."""

SMALLEST_STEP = 200_000
"""Multiplications below which opening a parallel region for one step costs more than it saves."""


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
    """A loop, and all there is to compute, for short calls.

    Args:
        handover: see `Handover.call`.
        single: whether these are of one step.

    Attributes:
        series: kept states that are no outputs.
    """

    def __init__(self, compiled: Compiled, dtype: torch.dtype, handover: Any, single: bool) -> None:
        self.compiled, self.dtype, self.single = compiled, dtype, single
        self.program = program = compiled.layout.program
        self.series = sorted(state for state in compiled.layout.kept if program.next[state] not in program.outputs)
        self.handover, self._local = handover, Local()

    def again(
        self, given: list[Tensor], weights: list[Tensor], time: int | None = None, lead: bool = False
    ) -> list[Tensor] | None:
        """The new states, the outputs and the series of a call like this thread's last; None for any other.

        Args:
            given: sequences and states.
            time, lead: see `Form`.
        """
        ready = self._local.ready
        return None if ready is None or ready.ways != (time, lead) else ready.run(given, weights)

    def first(self, given: list[Tensor], weights: list[Tensor], form: Form) -> list[Tensor] | None:
        """The same for a call of any form; None where the tensors are not what the program takes."""
        ready = self._local.known.get(form)
        if ready is None:
            ready = Ready(self, form, self._panels())
            self._local.known.add(form, ready, ready.size)
        self._local.ready = ready
        return ready.run(given, weights)

    def _panels(self) -> Tensor:
        """This thread's memory for packed weights."""
        if self._local.panels is None:
            self._local.panels = torch.empty(self.compiled.layout.panels, dtype=self.dtype)
        return self._local.panels


def is_whole(compiled: Compiled) -> bool:
    """Whether the loop is all there is to compute."""
    cut = compiled.layout.schedule
    return not (cut.entering or cut.hoisted or cut.deferred)


def is_wide(program: Program, dtype: torch.dtype) -> bool:
    """Whether every product gives enough numbers for a vector, so that packing reads nothing behind its matrix."""
    least = lanes(host(), DTYPES[dtype])
    return all(node.width >= least for node in program.nodes if isinstance(node, Product))


def threads_for(compiled: Compiled, rows: int, single: bool = False) -> Threads:
    """The threads for a short call."""
    team, by_rows = team_for(compiled.work, rows, SMALLEST_STEP if single else SMALLEST_SHARE)
    # each would read, or pack, all weights for one step
    return Threads(team, by_rows and not single, not single or compiled.work * rows >= WAKING)


class Ready:
    """What a thread has prepared for calls of a form. Their tensors are, in this order: sequences, states, weights, new
    states, outputs, series, and memory for states that alternate.

    Args:
        panels: for packed weights.

    Attributes:
        ways: the form's ``time`` and ``lead``.
        size: bytes that are held for it.
    """

    def __init__(self, direct: Direct, form: Form, panels: Tensor) -> None:
        compiled, program, dtype = direct.compiled, direct.program, direct.dtype
        steps, rows = form.steps, form.rows
        self.ways = form.time, form.lead
        outputs = [program.nodes[node].width for node in program.outputs]
        outputs += [program.states[state] for state in direct.series]
        alternating = [state for state in range(len(program.states)) if steps > 1 and state not in compiled.layout.kept]
        given = [Kind(form.series(width), dtype) for width in program.sequences]
        given += [Kind(form.state(width), dtype) for width in program.states]
        given += [Kind(shape, torch.int8 if i in program.int8 else dtype) for i, shape in enumerate(program.weights)]
        new = [Kind(shape, dtype) for shape in (*map(form.state, program.states), *map(form.series, outputs))]
        slots = [Kind((2, rows, program.states[state]), dtype) for state in alternating]
        self._own = len(given)
        self._like, self._slots = [kind.empty() for kind in new], [kind.empty() for kind in slots]
        kinds = [*given, *new, *slots]
        places = _Places(direct, form, kinds, {state: len(given + new) + i for i, state in enumerate(alternating)})
        copies = [*places.ends(), *places.twins()]
        threads = threads_for(compiled, rows, direct.single)
        loop = direct.handover, compiled, steps, rows
        self._loop = Standing(*loop, kinds, places.words, copies, threads, panels)
        self.size = self._loop.size + sum(tensor.nbytes for tensor in (*self._like, *self._slots))

    def run(self, given: list[Tensor], weights: list[Tensor]) -> list[Tensor] | None:
        """The new states, the outputs and the series; None where the tensors are of other kinds."""
        new = list(map(torch.empty_like, self._like))
        return new if self._loop.run([*given, *weights, *new, *self._slots], self._own) else None


class _Places:
    """Where the tensors of a call stand among the loop's arguments.

    Args:
        kinds: of the tensors.
        slots: which tensor is the memory of an alternating state.
    """

    def __init__(self, direct: Direct, form: Form, kinds: list[Kind], slots: dict[int, int]) -> None:
        self._direct, self._program, self._form = direct, direct.program, form
        self._kinds, self._slots, self._kept = kinds, slots, direct.compiled.layout.kept
        self._size = direct.dtype.itemsize
        program = self._program
        self._states = len(program.sequences)
        self._weights = self._states + len(program.states)
        self._new = self._weights + len(program.weights)
        self._outputs = self._new + len(program.states)

    def words(self, kind: str, index: int) -> list[Address | int]:
        """The words of one of the loop's arguments."""
        program, rows = self._program, self._form.rows
        match kind:
            case "product":
                return product_words(self._direct.compiled, index, self._weights, self._kinds)
            case "vector":
                return [(self._weights + index, 0)]
            case "state":
                return [(self._states + index, 0), (self._slot(index), 0)]
            case "leaving":
                width = program.nodes[index].width
                return [(self._outputs + program.outputs.index(index), 0), rows * width, width]
            case _:
                width = program.sequences[index]
                return [(index, 0), rows * width, width]

    def _slot(self, state: int) -> int:
        """The tensor in which the loop leaves a state: an output, a series, one that alternates, or the new state
        itself."""
        outputs, series = self._program.outputs, self._direct.series
        if state in series:
            return self._outputs + len(outputs) + series.index(state)
        if state in self._kept:
            return self._outputs + outputs.index(self._program.next[state])
        return self._slots.get(state, self._new + state)

    # Results that the loop leaves elsewhere, or for others: each has memory of its own, so that any may be edited.

    def ends(self) -> list[Copy]:
        """The copies of last states."""
        last, found = self._form.steps - 1, []
        for state, width in enumerate(self._program.states):
            if (slot := self._slot(state)) != self._new + state:
                size = self._form.rows * width * self._size
                begin = (last if state in self._kept else last & 1) * size
                found.append(Copy((slot, begin), self._new + state, size))
        return found

    def twins(self) -> list[Copy]:
        """The copies of outputs that are others too."""
        outputs, found = self._program.outputs, []
        for place, node in enumerate(outputs):
            if (first := outputs.index(node)) < place:
                size = self._form.steps * self._form.rows * self._program.nodes[node].width * self._size
                found.append(Copy((self._outputs + first, 0), self._outputs + place, size))
        return found


class Local(threading.local):
    """What a thread works in: as for its last call, for the forms it has met, and packed weights."""

    def __init__(self) -> None:
        self.ready: Ready | None = None
        self.known: Known[Form, Ready] = Known()
        self.panels: Tensor | None = None
