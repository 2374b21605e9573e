"""Which units of a state see which others of the step before, and which parameters: the zeros of the derivatives."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from recurra.recurrence.state import map_state
from recurra.training.online.flat import FlatStep


@dataclass(frozen=True)
class Reach:
    """What a step's derivatives are made of.

    Args:
        units: H, where every tensor of the state is (B, H): unit j is feature j of each of them. None for other states.
        mixes: whether a unit sees any other of the step before. Where none does, the recurrence is element-wise.
        own: parameters of which every row (of their first axis) acts on one unit's new state alone, with that unit for
            each row: row r has unit r mod H.
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

    halves = list(_halves(units, start.device))
    everyone = torch.arange(units, device=start.device).repeat(len(step.sizes))
    mixes = any(
        _leaves(half, touched({}, start.masked_fill(half[everyone], torch.nan)).view(-1, units)) for half in halves
    )
    own = {}
    for name in seen:
        value = parameters[name]
        if value.dim() == 0 or len(value) % units:
            continue
        unit = torch.arange(len(value), device=value.device) % units  # gates that are stacked take turns
        broken = (value.masked_fill(half[unit].view(-1, *[1] * (value.dim() - 1)), torch.nan) for half in halves)
        found = (touched({name: other}, start).view(-1, units) for other in broken)
        if not any(_leaves(half, each) for half, each in zip(halves, found, strict=True)):
            own[name] = unit
    return Reach(units, mixes, own, tuple(name for name in seen if name not in own))


def _halves(units: int, device: torch.device) -> Iterator[Bool[Tensor, " H"]]:
    """Sets of units such that of any two units one set has the first without the second: a bit of their numbers."""
    numbers = torch.arange(units, device=device)
    for bit in range((units - 1).bit_length()):
        one = (numbers >> bit) % 2 == 1
        yield from (one, ~one)


def _leaves(half: Bool[Tensor, " H"], touched: Bool[Tensor, "K H"]) -> bool:
    """Whether what began inside a set of units touches any outside it."""
    return bool((touched.any(0) & ~half).any())
