"""Calls along a direction, for forward mode and second derivatives: the tangent is a program like any other."""

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
    """What a program with its tangent is given, in the order of `autograd.run`."""

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
    if all(pair.tangent is None for every in pairs for pair in every):
        return None
    values, directions = ([[pair[part] for pair in every] for every in pairs] for part in (0, 1))
    return moved(program, values, directions)


def moved(program: Program, values: Sequence[Sequence[Tensor]], directions: Sequence[Sequence[Tensor | None]]) -> Duals:
    """The call that gives outputs and last states, each followed by its tangent.

    Args:
        values: sequences, states, rows, weights.
        directions: of each, along which it moves; None for one that does not.
    """
    flags = [tuple(direction is not None for direction in every) for every in directions]
    joint = with_tangent(program, Moving(flags[0], flags[2], flags[3]))
    states = [
        torch.zeros_like(value) if direction is None else direction
        for value, direction in zip(values[1], directions[1], strict=True)
    ]
    along = [[each for each in every if each is not None] for every in (directions[0], states, *directions[2:])]
    sequences, states, rows, weights = ([*one, *other] for one, other in zip(values, along, strict=True))
    return Duals(joint.text, sequences, states, rows, weights)


def closed(found: Sequence[Tensor]) -> list[Tensor]:
    """Dual tensors of values and, behind them, their tangents."""
    half = len(found) // 2
    return [forward_ad.make_dual(*pair) for pair in zip(found[:half], found[half:], strict=True)]
