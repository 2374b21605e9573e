"""Which units of a state see which others of the step before, and which parameters: the zeros of the derivatives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from recurra.recurrence.state import map_state
from recurra.training.online.flat import FlatStep

ROWS_AT_ONCE = 16
"""Rows of a parameter that are followed side by side, each with a copy of it."""


@dataclass(frozen=True)
class Reach:
    """What a step's derivatives are made of.

    Args:
        units: H, where every tensor of the state is (B, H): unit j is feature j of each of them. None for other states.
        mixes: whether a unit sees any other of the step before. Where none does, the recurrence is element-wise.
        own: parameters of which every row (of their first axis) acts on one unit's new state alone, with that unit for
            each row.
        others: all other parameters that the new state depends on; those that it does not depend on are nowhere.
    """

    units: int | None
    mixes: bool
    own: dict[str, Tensor]
    others: tuple[str, ...]


def find_reach(step: FlatStep, x: Any) -> Reach:
    """Follow numbers that are not numbers through a step: whatever depends on a NaN is one.

    That holds for any weights, the zeros of an identity matrix included, so the answer is the construction's and not
    that of the weights of this moment. What passes a comparison alone has no derivative and is rightly not seen.

    Args:
        x: inputs of a step, ``(B, ...)``; their numbers do not matter.
    """
    generator = torch.Generator().manual_seed(0)

    def some(like: Tensor) -> Tensor:
        return torch.empty(like.shape, dtype=like.dtype).uniform_(0.1, 0.9, generator=generator).to(like.device)

    row = map_state(lambda leaf: some(leaf[0]) if leaf.is_floating_point() else leaf[0], x)
    parameters: dict[str, Tensor] = {name: some(value) for name, value in step.parameters.items()}
    start = some(step.start(1)[0])

    def touched(changed: dict[str, Tensor], s: Tensor) -> Bool[Tensor, " S"]:
        return step.following({**parameters, **changed}, row, s).isnan()

    seen = [
        name for name, value in parameters.items() if touched({name: torch.full_like(value, torch.nan)}, start).any()
    ]
    units = step.shapes[0][0] if len({*step.shapes}) == 1 and len(step.shapes[0]) == 1 else None
    if units is None:
        return Reach(None, True, {}, tuple(seen))

    def among_units(unit: Tensor) -> Bool[Tensor, " H"]:
        broken = torch.arange(units, device=start.device).repeat(len(step.shapes)) == unit
        return touched({}, start.masked_fill(broken, torch.nan)).view(-1, units).any(0)

    sees = torch.vmap(among_units, chunk_size=ROWS_AT_ONCE)(torch.arange(units, device=start.device))
    mixes = bool((sees & ~torch.eye(units, dtype=torch.bool, device=start.device)).any())
    own = {
        name: found for name in seen if (found := _units_of(name, parameters[name], start, touched, units)) is not None
    }
    return Reach(units, mixes, own, tuple(name for name in seen if name not in own))


def _units_of(
    name: str, value: Tensor, start: Tensor, touched: Callable[[dict[str, Tensor], Tensor], Tensor], units: int
) -> Tensor | None:
    """The unit that each row of a parameter acts on; None where one acts on several."""
    if value.dim() == 0:
        return None
    rows = torch.arange(len(value), device=value.device)

    def acts_on(row: Tensor) -> Tensor:
        broken = (rows == row).view(-1, *[1] * (value.dim() - 1))
        return touched({name: value.masked_fill(broken, torch.nan)}, start).view(-1, units).any(0)

    found = torch.vmap(acts_on, chunk_size=ROWS_AT_ONCE)(rows)
    return found.int().argmax(1) if bool((found.sum(1) <= 1).all()) else None
