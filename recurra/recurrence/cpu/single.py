"""One step of a stream: no dispatcher, nothing allocated but the results, weights read where they lie."""

import ctypes
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.recurrence.cpu import pool
from recurra.recurrence.cpu.execute import compile_program, team_for
from recurra.recurrence.cpu.layout import WORDS, arguments
from recurra.recurrence.cpu.machine import BYTES, DTYPES
from recurra.recurrence.cpu.team import BARRIER_BYTES
from recurra.recurrence.program import Product, Program

IDLE = 1e-3
"""Seconds after which the pool's threads sleep, and waking them costs more than they save in a step."""

SMALLEST_SHARE = 200_000
"""Multiplications below which opening a parallel region for one step costs more than it saves."""


class Memory(threading.local):
    """What one thread works in, kept from step to step."""

    def __init__(self) -> None:
        self.batch, self.team, self.last = 0, 1, 0.0
        self.words: Any = None
        self.address = 0
        self.weights: list[int] = []
        self.tensors: tuple[Tensor, ...] = ()


class Single:
    """A program compiled for single steps of few rows."""

    def __init__(self, program: Program, dtype: torch.dtype) -> None:
        kept = frozenset(state for state, node in enumerate(program.next) if node in program.outputs)
        self.compiled = compile_program(program, kept, frozenset(), DTYPES[dtype], single=True, packed=False)
        self.program, self.bytes = self.compiled.layout.program, BYTES[DTYPES[dtype]]
        places = [*self.program.next, *self.compiled.layout.leaving]
        self._outputs = [places.index(node) for node in self.program.outputs]
        self._memory = Memory()
        self._entries: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        self._words = [0] * len(WORDS)
        for kind, index, _ in arguments(self.compiled.layout):
            weight, offset, strides = self._argument(kind, index)
            kind = "weight" if kind in ("product", "vector") else kind
            self._entries[kind].append((len(self._words), weight, offset))
            self._words += [0, *strides]

    def _argument(self, kind: str, index: int) -> tuple[int, int, tuple[int, ...]]:
        """Which tensor an argument is of, where in it, in bytes, it begins, and the words that follow its address."""
        match kind:
            case "product":
                node = self.program.nodes[index]
                assert isinstance(node, Product)
                row = self.program.weights[node.index][1]
                start = (node.rows.start * row + node.columns.start) * self.bytes
                return node.index, start, (1, row) if node.transposed else (row, 1)
            case "sequence":
                return index, 0, (0, self.program.sequences[index])
            case "leaving":
                return index, 0, (0, self.program.nodes[index].width)
            case "state":
                return index, 0, (0,)
            case _:
                return index, 0, ()

    def __call__(
        self, sequences: Sequence[Tensor], states: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The outputs and the new states, ``(B, width)``, from contiguous tensors."""
        memory, batch = self._memory, states[0].shape[0]
        if memory.batch != batch:
            self._prepare(memory, batch, states[0])
        words = memory.words
        addresses = list(map(Tensor.data_ptr, weights))
        if addresses != memory.weights:
            for place, index, offset in self._entries["weight"]:
                words[place] = addresses[index] + offset
            memory.weights = addresses
        found = list(map(torch.empty_like, states))
        for place, index, _ in self._entries["state"]:
            words[place], words[place + 1] = states[index].data_ptr(), found[index].data_ptr()
        for place, index, _ in self._entries["sequence"]:
            words[place] = sequences[index].data_ptr()
        for place, node, _ in self._entries["leaving"]:
            found.append(states[0].new_empty(batch, self.program.nodes[node].width))
            words[place] = found[-1].data_ptr()
        team = memory.team if time.perf_counter() - memory.last < IDLE else 1
        words[ALONE] = team == 1
        pool.run(self.compiled.function, self.compiled.address, memory.address, team)
        memory.last = time.perf_counter()
        new = found[: len(states)]  # an output that is a state has memory of its own: either may be edited in place
        return [found[place].clone() if place < len(new) else found[place] for place in self._outputs], new

    def _prepare(self, memory: Memory, batch: int, like: Tensor) -> None:
        """Everything that stays the same from step to step."""
        scratch = like.new_empty(2 * batch * self.compiled.layout.scratch_size)
        barrier = torch.zeros(BARRIER_BYTES // 8, dtype=torch.int64)
        memory.team, by_rows = team_for(self.compiled.work, batch, SMALLEST_SHARE)
        memory.tensors, memory.batch, memory.last = (scratch, barrier), batch, 0.0
        memory.words, memory.weights = (ctypes.c_int64 * len(self._words))(*self._words), []
        memory.address = ctypes.addressof(memory.words)
        head = {"steps": 1, "batch": batch, "by_rows": 0 if by_rows else batch + 1}
        head |= {"barrier": barrier.data_ptr(), "scratch": scratch.data_ptr()}
        for name, value in head.items():
            memory.words[WORDS.index(name)] = value


ALONE = WORDS.index("alone")
