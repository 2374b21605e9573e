"""Calls on dual tensors: forward-mode derivatives by the program's tangent, run like any other program."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from recurra.recurrence.program import Program
from recurra.recurrence.tangent import Moving, with_tangent


def is_forward() -> bool:
    """Whether forward-mode derivatives are being taken."""
    return forward_ad._current_level >= 0


class Duals(NamedTuple):
    """What a program with its tangent is given, in the order of `operator.run`."""

    program: str
    sequences: list[Tensor]
    states: list[Tensor]
    rows: list[Tensor]
    weights: list[Tensor]


def opened(
    program: Program,
    sequences: Sequence[Tensor],
    states: Sequence[Tensor],
    rows: Sequence[Tensor],
    weights: Sequence[Tensor],
) -> Duals | None:
    """The call on values and tangents; None where no tensor has a tangent."""
    pairs = [[forward_ad.unpack_dual(tensor) for tensor in every] for every in (sequences, states, rows, weights)]
    if all(tangent is None for every in pairs for _, tangent in every):
        return None
    flags = [tuple(tangent is not None for _, tangent in every) for every in pairs]
    joint = with_tangent(program, Moving(flags[0], flags[2], flags[3]))
    lists = [
        [*(primal for primal, _ in every), *(tangent for _, tangent in every if tangent is not None)] for every in pairs
    ]
    lists[1] = [*(primal for primal, _ in pairs[1]), *(_or_zeros(*pair) for pair in pairs[1])]
    return Duals(joint.text, lists[0], lists[1], lists[2], lists[3])


def _or_zeros(primal: Tensor, tangent: Tensor | None) -> Tensor:
    return torch.zeros_like(primal) if tangent is None else tangent


def closed(found: Sequence[Tensor]) -> list[Tensor]:
    """Dual tensors of values and, behind them, their tangents."""
    half = len(found) // 2
    return [forward_ad.make_dual(*pair) for pair in zip(found[:half], found[half:], strict=True)]
