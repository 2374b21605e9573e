"""Training on short sequences: both loops stand ready, and so does what comes after the second."""

import threading
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from recurra.recurrence.batched import side_by_side
from recurra.recurrence.cpu.direct import Direct, Form, is_whole, is_wide, threads_for
from recurra.recurrence.cpu.execute import by_pairs, compile_program, is_small
from recurra.recurrence.cpu.handover import handover
from recurra.recurrence.cpu.launch import Compiled
from recurra.recurrence.cpu.machine import DTYPES, host
from recurra.recurrence.cpu.standing import MOST_HELD, Address, Copy, Kind, Known, Standing, product_words
from recurra.recurrence.program import Program
from recurra.recurrence.tail import Tail, has_tail
from recurra.recurrence.training import Training, program_of, training_of


@lru_cache(maxsize=2048)
def brief_of(text: str, wanted: str, steps: int, rows: int, dtype: torch.dtype) -> "Brief | None":
    """For calls of a program with so many steps and rows; None where they have to go another way."""
    program = program_of(text)
    if program.int8 or program.rows or not is_small(program, steps, rows, gradients=True):
        return None
    halves = _halves(text, wanted, dtype)
    if halves is None or steps * rows * dtype.itemsize * halves[1].leaving > MOST_HELD // 4:
        return None
    return Brief(*halves, Form(steps, rows, 0, False))


@lru_cache(maxsize=512)
def _halves(text: str, wanted: str, dtype: torch.dtype) -> "tuple[Direct, Adjoint] | None":
    program, training, found = program_of(text), training_of(text, wanted), handover()
    forward, backward, _ = training.adjoint
    kind, none = DTYPES[dtype], frozenset[int]()
    if found is None or by_pairs(program, kind, host()) or not (is_wide(forward, dtype) and is_wide(backward, dtype)):
        return None
    # the arguments with which longer calls compile them
    first = compile_program(forward, training.kept, none, kind, own=len(program.outputs), halves=none)
    delayed = frozenset(place for place, source in enumerate(training.adjoint.sources) if source.kind == "previous")
    second = compile_program(backward, none, delayed, kind, own=None, halves=none)
    cut = second.layout.schedule
    direct = Direct(first, dtype, found.call, single=False)
    if not is_whole(first) or tuple(direct.series) != training.series:
        return None
    if cut.hoisted or cut.entering or not has_tail(cut):
        return None
    return direct, Adjoint(program, training, second, dtype, found.call)


class Brief:
    """Calls of one form. Tensors come, and gradients go, in the order of the operator's: sequences, states, weights."""

    def __init__(self, forward: Direct, adjoint: "Adjoint", form: Form) -> None:
        self._forward, self._adjoint, self._form = forward, adjoint, form
        program = forward.program
        self._states = len(program.states)
        self._given = len(program.sequences) + self._states

    def forward(self, tensors: Sequence[Tensor]) -> list[Tensor] | None:
        """The outputs, the last states, and what the gradient remembers besides the outputs; None where the tensors
        are not what the program takes."""
        given, weights = list(tensors[: self._given]), list(tensors[self._given :])
        found = self._forward.first(given, weights, self._form)
        if found is None:
            return None
        last, own = found[: self._states], self._adjoint.outputs
        return found[self._states :][:own] + last + found[self._states + own :]

    def backward(self, saved: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> list[Tensor | None] | None:
        """The gradients, for each of the call's tensors; None where the tensors are not what the program takes.

        Args:
            saved: the call's tensors and its results without the last states.
            gradients: of outputs and last states.
        """
        return self._adjoint.run(saved, gradients, self._form)


class Adjoint:
    """The second half of a program's training, for any form.

    Attributes:
        outputs: how many the program has.
        leaving: numbers that leave the loop at a row's step.
    """

    def __init__(
        self, program: Program, training: Training, compiled: Compiled, dtype: torch.dtype, handover: Any
    ) -> None:
        self.program, self.training, self.compiled = program, training, compiled
        self.dtype, self.handover, self.outputs = dtype, handover, len(program.outputs)
        layout = compiled.layout
        self.leaving = sum(layout.program.nodes[node].width for node in layout.leaving)
        self._local = _Local()

    def run(
        self, saved: Sequence[Tensor], gradients: Sequence[Tensor | None], form: Form
    ) -> list[Tensor | None] | None:
        """See `Brief.backward`."""
        ready = self._local.known.get(form)
        if ready is None:
            if self._local.panels is None:
                self._local.panels = torch.empty(self.compiled.layout.panels, dtype=self.dtype)
            ready = _Ready(self, form, self._local.panels)
            self._local.known.add(form, ready, ready.size)
        return ready.run(saved, gradients)


class _Ready:
    """What a thread has prepared for the gradients of calls of a form. Their tensors are, in this order: what was saved
    (sequences, states, weights, outputs, what else is remembered), the gradients of outputs and last states, those of
    the first states, the sums that the loop takes, and memory: zeros, for states that alternate, for what leaves."""

    def __init__(self, adjoint: Adjoint, form: Form, panels: Tensor) -> None:
        self._adjoint, self._form = adjoint, form
        program, (pair, _, series, wanted) = adjoint.program, adjoint.training
        layout, back = adjoint.compiled.layout, adjoint.compiled.layout.program
        self._layout = layout
        remembered = [pair.forward.nodes[node].width for node in pair.forward.outputs]
        remembered += [program.states[state] for state in series]
        self._states, self._weights = len(program.sequences), len(program.sequences) + len(program.states)
        self._remembered = self._weights + len(program.weights)
        self._gradients = self._remembered + len(remembered)
        self._ends = self._gradients + adjoint.outputs
        self._new = self._ends + len(program.states)
        self._sums = self._new + len(program.states)
        outputs = [program.nodes[node].width for node in program.outputs]
        shapes = [*map(form.series, program.sequences), *map(form.state, program.states), *program.weights]
        shapes += [*map(form.series, [*remembered, *outputs]), *map(form.state, [*program.states, *back.states])]
        self._kinds = [Kind(shape, adjoint.dtype) for shape in shapes]
        self._keep(back, form)
        words = adjoint.handover, adjoint.compiled, form.steps, form.rows, self._kinds, self._words, self._copies()
        self._loop = Standing(*words, threads_for(adjoint.compiled, form.rows), panels)
        totals = {
            position: self._kept[state - len(program.states)] for position, state in layout.schedule.carried.items()
        }
        starts = {i: self._start(i) for i, source in enumerate(pair.sources) if source.kind == "previous"}
        sequences = [self._sequence(i) for i in range(len(pair.sources))]
        sizes = form.steps, form.rows
        self._tail = Tail(layout.schedule, sizes, self._series, totals, sequences, starts)
        self._like = [kind.empty() for kind in self._kinds[self._new : self._sums]]
        self._zeros = [torch.zeros(kind.shape, dtype=kind.dtype) for kind in self._kinds[self._gradients : self._new]]
        self._wanted = wanted
        held = [*self._kept, *self._like, *self._zeros]
        self.size = self._loop.size + sum(tensor.nbytes for tensor in held)

    def _keep(self, back: Program, form: Form) -> None:
        """Memory that every call uses: sums that the loop takes, and what these begin with; states that alternate; and
        what leaves the loop, side by side what one product will read."""
        adjoint, dtype, layout = self._adjoint, self._adjoint.dtype, self._layout
        extra = back.states[self._sums - self._new :]
        self._kept = [torch.empty(form.state(width), dtype=dtype) for width in extra]
        self._first_zero = self._sums + len(self._kept)
        self._kept += [torch.zeros(form.state(width), dtype=dtype) for width in extra]
        self._first_slot = self._sums + len(self._kept)
        if form.steps > 1:
            self._kept += [torch.empty(2, *form.state(width), dtype=dtype) for width in back.states]
        widths = {node: back.nodes[node].width for node in layout.leaving}
        together = [node for node in side_by_side(layout.schedule) if node in widths]
        self._homes: dict[int, tuple[int, int, int]] = {}  # a node's tensor, its first column, and all columns
        self._series: dict[int, Tensor] = {}
        for nodes in [together, *([node] for node in layout.leaving if node not in together)]:
            memory = torch.empty(form.series(sum(widths[node] for node in nodes)), dtype=dtype)
            begin, parts = 0, memory.split([widths[node] for node in nodes], dim=2)
            for node, part in zip(nodes, parts, strict=True):
                self._homes[node], self._series[node] = (self._sums + len(self._kept), begin, memory.shape[2]), part
                begin += widths[node]
            self._kept += [memory] * bool(nodes)
        self._kinds += [Kind(tuple(tensor.shape), adjoint.dtype) for tensor in self._kept[len(extra) :]]

    def _sequence(self, index: int) -> int:
        """The tensor that is one of the adjoint's sequences."""
        program, (pair, _, series, _) = self._adjoint.program, self._adjoint.training
        kind, number = pair.sources[index]
        match kind:
            case "sequence":
                return number
            case "output":
                return self._remembered + number
            case "gradient":
                return self._gradients + number
        if number in series:
            return self._remembered + len(pair.forward.outputs) + series.index(number)
        return self._remembered + pair.forward.outputs.index(program.next[number])

    def _start(self, index: int) -> int:
        """The tensor that a delayed one begins with."""
        return self._states + self._adjoint.training.adjoint.sources[index].number

    def _words(self, kind: str, index: int) -> list[Address | int]:
        """The words of one of the loop's arguments."""
        rows, back = self._form.rows, self._layout.program
        match kind:
            case "product":
                return product_words(self._adjoint.compiled, index, self._weights, self._kinds)
            case "vector":
                return [(self._weights + index, 0)]
            case "state":
                own = index < self._sums - self._new
                begin = self._ends + index if own else self._first_zero + index - (self._sums - self._new)
                return [(begin, 0), (self._slot(index), 0)]
            case "leaving":
                tensor, first, columns = self._homes[index]
                return [(tensor, first * self._adjoint.dtype.itemsize), rows * columns, columns]
            case _:
                width = back.sequences[index]
                words: list[Address | int] = [(self._sequence(index), 0), rows * width, width]
                return [*words, (self._start(index), 0), width] if kind == "delayed" else words

    def _slot(self, state: int) -> int:
        """The tensor in which the loop leaves a state."""
        return self._first_slot + state if self._form.steps > 1 else self._new + state

    def _copies(self) -> list[Copy]:
        """Of last states out of the memory in which they alternate."""
        if self._form.steps == 1:
            return []
        sizes = [prod(self._form.state(width)) * self._adjoint.dtype.itemsize for width in self._layout.program.states]
        begin = self._form.steps - 1 & 1
        return [Copy((self._slot(i), begin * size), self._new + i, size) for i, size in enumerate(sizes)]

    def run(self, saved: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> list[Tensor | None] | None:
        given = [zeros if found is None else found for found, zeros in zip(gradients, self._zeros, strict=True)]
        new = list(map(torch.empty_like, self._like))
        tensors = [*saved, *given, *new, *self._kept]
        if not self._loop.run(tensors, self._new):
            return None
        weights = tensors[self._weights : self._remembered]
        of_weights, of_sequences = self._tail.gradients(tensors), iter(self._tail.outputs(weights))
        return [
            *(next(of_sequences) if flag else None for flag in self._wanted.sequences),
            *new,
            *(
                (of_weights[index] if index in of_weights else torch.zeros_like(weights[index])) if flag else None
                for index, flag in enumerate(self._wanted.weights)
            ),
        ]


class _Local(threading.local):
    """What a thread works in: for the forms it has met, and for packed weights."""

    def __init__(self) -> None:
        self.known: Known[Form, _Ready] = Known()
        self.panels: Tensor | None = None
