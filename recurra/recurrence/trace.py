"""What one step of a cell computes: recorded, compared with a second recording, and guarded."""

import random
import threading
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from recurra.recurrence.guard import Guard, hooked, named_tensors
from recurra.recurrence.record import Call, NotFused, Place, Recorder, View, run
from recurra.recurrence.state import State, map_state, tensors

__all__ = ["Call", "NotFused", "Place", "Trace", "View", "trace"]

PRIMES = (10007, 10009, 10037, 10039, 10061, 10067)
# the least draw, the greatest and two between: a coin of any bias falls on both sides, a choice takes several ways
DRAWS = (0x00000000, 0x55555555, 0xAAAAAAAA, 0xFFFFFFFF)
_LOCK = threading.RLock()


@dataclass(frozen=True)
class Trace:
    """One step.

    Args:
        batch: the number of rows it was traced with, a prime that is no feature size.
        dtype: the float type of the values.
        inputs: the leaves of the step's input.
        states: the leaves of its state.
        named: the parameters, buffers and tensor attributes that it reads.
        constants: the tensors that it makes of Python's numbers.
        calls: what it does, in order.
        output: its output.
        next: the leaves of its new state.
        structure: how its new state nests, with an empty tensor in place of each.
        guard: what the trace took for granted.
    """

    batch: int
    dtype: torch.dtype
    inputs: tuple[View, ...]
    states: tuple[View, ...]
    named: dict[str, View]
    constants: dict[View, Tensor]
    calls: tuple[Call, ...]
    output: View
    next: tuple[View, ...]
    structure: State
    guard: Guard


def trace(cell: nn.Module, x: Any, state: State) -> Trace:
    """Record one step of ``cell``.

    The cell, its tensors and all random states stay as they are, also where this fails.

    Args:
        x: what a step receives, any nesting of tensors ``(B, ...)``; only their shapes and types matter, B does not.
        state: what the step before left, likewise.

    Raises:
        NotFused: the step does something that a program cannot say.
    """
    with _LOCK, _RandomStates() as randomness:
        place = hooked(cell)
        if place is not None:
            raise NotFused(f"hooks are called around {place}")
        dtype = _float_type([*tensors(x), *tensors(state)])
        names = list(named_tensors(cell))
        taken = {n for leaf in (*tensors(x), *tensors(state), *(t for _, t in names)) for n in leaf.shape}
        batch, other = [prime for prime in PRIMES if prime not in taken][:2]
        guard = Guard(cell)
        one = _record(cell, x, state, batch, names, guard, dtype)
        if not randomness.used():
            _compare(one, _record(cell, x, state, other, names, guard, dtype))
            return one
        # type checkers draw random numbers too: only a step that depends on them is unfit
        for word in DRAWS:
            randomness.draw(word)
            _compare(one, _record(cell, x, state, other, names, guard, dtype))
    return one


class _RandomStates:
    """Gives Python's and NumPy's random states, both of the Mersenne Twister, back as they were."""

    def __enter__(self) -> "_RandomStates":
        self._python = random.getstate()
        self._numpy: Any = numpy.random.get_state()
        return self

    def __exit__(self, *error: object) -> None:
        random.setstate(self._python)
        numpy.random.set_state(self._numpy)

    def used(self) -> bool:
        """Whether numbers were drawn since."""
        return random.getstate() != self._python or list(numpy.random.get_state())[2:] != list(self._numpy)[2:]

    def draw(self, word: int) -> None:
        """Let the next draws be of this 32-bit word, and later ones of others: some functions draw until one fits."""
        words = [_untempered(word)] * 128
        version, (*kept, _), gauss = self._python
        random.setstate((version, (*words, *kept[128:], 0), gauss))
        if self._numpy[0] == "MT19937":
            keys = numpy.array([*words, *self._numpy[1][128:]], numpy.uint32)
            numpy.random.set_state(("MT19937", keys, 0, *self._numpy[3:]))


def _untempered(word: int) -> int:
    """The word of a Mersenne Twister's state that is drawn as this one: its four tempering steps, undone."""
    word ^= word >> 18
    word ^= word << 15 & 0xEFC60000
    each = word
    for _ in range(4):  # each step settles seven bits more
        each = word ^ each << 7 & 0x9D2C5680
    word = each
    for _ in range(2):  # eleven bits more
        each = word ^ each >> 11
    return each


def _float_type(leaves: list[Tensor]) -> torch.dtype:
    """The one float type of all inputs and states."""
    found = set()
    for leaf in leaves:
        if leaf.device.type != "cpu":
            raise NotFused(f"a tensor lies on {leaf.device}")
        if leaf.dim() == 0:
            raise NotFused("an input or state has no batch dimension")
        if leaf.is_floating_point():
            found.add(leaf.dtype)
        elif leaf.dtype != torch.bool:
            raise NotFused(f"an input or state is of type {leaf.dtype}")
    if len(found) != 1:
        raise NotFused(f"inputs and states must be of one float type, not {sorted(map(str, found))}")
    return found.pop()


def _record(
    cell: nn.Module, x: Any, state: State, batch: int, names: list[tuple[str, Tensor]], guard: Guard, dtype: torch.dtype
) -> Trace:
    recorder = Recorder(names)
    x = map_state(lambda leaf: recorder.given(leaf, batch), x)
    state = map_state(lambda leaf: recorder.given(leaf, batch), state)
    inputs, states = ([recorder.view(leaf) for leaf in tensors(each)] for each in (x, state))
    step = run(recorder, cell, x, state)
    output, following = recorder.view(step.output), [recorder.view(leaf) for leaf in tensors(step.state)]
    if output.shape[:1] != (batch,):
        raise NotFused(f"the output {_shown(output, batch)} does not start with the batch")
    for before, after in zip(states, following, strict=True):
        if before.shape != after.shape or before.dtype != after.dtype:
            raise NotFused(f"a state {_shown(before, batch)} comes back as {_shown(after, batch)}")
    return Trace(
        batch,
        dtype,
        tuple(inputs),
        tuple(states),
        recorder.named,
        recorder.constants,
        tuple(recorder.calls),
        output,
        tuple(following),
        map_state(lambda _: torch.empty(0), step.state),
        guard,
    )


def _shown(view: View, batch: int) -> str:
    sizes = ", ".join("batch" if size == batch else str(size) for size in view.shape)
    return f"({sizes}) of {view.dtype}"


def _compare(one: Trace, two: Trace) -> None:
    """Raise where two recordings, of different numbers of rows, differ in more than these."""
    for first, second in zip(one.calls, two.calls, strict=False):
        if first.function is not second.function or _outline(first, one.batch) != _outline(second, two.batch):
            raise NotFused("the step depends on the number of rows, or differs from call to call", first.place)
    ends = [(_outline((each.output, each.next), each.batch), len(each.calls)) for each in (one, two)]
    same = all(map(torch.equal, one.constants.values(), two.constants.values()))
    if ends[0] != ends[1] or not same or list(one.named.values()) != list(two.named.values()):
        raise NotFused("the step depends on the number of rows, or differs from call to call")


def _outline(value: Any, batch: int) -> Any:
    """Arguments to compare, the number of rows taken out."""
    if isinstance(value, Call):
        return [_outline(part, batch) for part in (value.args, list(value.kwargs.items()), value.results)]
    if isinstance(value, View):
        return value.storage, _outline(value.shape, batch), value.dtype
    if isinstance(value, tuple | list):
        return [_outline(part, batch) for part in value]
    if type(value) is int and value and value % batch == 0:
        return "batch", value // batch
    return str(value) if isinstance(value, float) else value
