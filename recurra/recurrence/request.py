"""One call of a sequence layer, and what it gives, on whichever path it runs."""

from typing import Any, NamedTuple

from torch import Tensor

from recurra.recurrence.state import State


class Result(NamedTuple):
    """Outputs ``(B, T, ...)``, the last state, and where it was asked for the state after every step."""

    outputs: Tensor
    state: State
    states: State | None


class Request(NamedTuple):
    """One call of a layer, its arguments checked.

    Args:
        inputs: what the steps receive, a nesting of ``(B, T, ...)``.
        state: where each row begins.
        start: where a reset sends it back to; None without ``reset``.
        lengths: of each row.
        reset: ``(B, T)``.
        trajectory: whether the state after every step is wanted.
        bfloat16: whether products are of operands rounded to it, where a loop is compiled.
    """

    inputs: Any
    state: State
    start: State | None = None
    lengths: Tensor | None = None
    reset: Tensor | None = None
    trajectory: bool = False
    bfloat16: bool = False
