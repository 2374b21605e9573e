"""What a forecasting network reads: stretches of series side by side."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Windows(NamedTuple):
    """Stretches of series side by side, scaled; the horizon follows the context.

    A row begins at its first observed value; nothing before that is read. ``U = C + horizon``; T is U in training and C
    in prediction.

    Args:
        target: ``(B, T)``, scaled; 0 where it is missing.
        observed: ``(B, T)``, False where the target is missing, and before a series begins: rows are padded at the
            front.
        known: ``(B, U, K)``, covariates known ahead, calendar features and age included.
        past: ``(B, C, P)``, covariates known of the context only.
        static: ``(B, S)``, numbers that do not change over time.
        group: ``(B,)``, which series, for an embedding; 0 for one that was not seen in training.
        centre, scale: ``(B,)``; the target in its own units is ``target * scale + centre``.
    """

    target: Float[Tensor, "B T"]
    observed: Bool[Tensor, "B T"]
    known: Float[Tensor, "B U K"]
    past: Float[Tensor, "B C P"]
    static: Float[Tensor, "B S"]
    group: Int[Tensor, " B"]
    centre: Float[Tensor, " B"]
    scale: Float[Tensor, " B"]

    @property
    def context(self) -> int:
        """C, steps before the horizon."""
        return self.past.shape[1]

    @property
    def horizon(self) -> int:
        """Steps to forecast."""
        return self.known.shape[1] - self.past.shape[1]


def begun(observed: Bool[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
    """Which steps are within each row, from its first observed value on.

    Raises:
        ValueError: a row without an observed value.
    """
    found = observed.cummax(1).values
    if not found[:, -1].all():
        row = int(found[:, -1].logical_not().nonzero()[0])
        raise ValueError(f"row {row} has no observed value in its context of {observed.shape[1]} steps")
    return found


def starts(within: Bool[Tensor, "B T"]) -> Bool[Tensor, "B T"] | None:
    """Where rows begin, for the ``reset`` of recurrent layers; None where all of them begin at once."""
    if bool(within[:, 0].all()):
        return None
    return within & ~torch.nn.functional.pad(within[:, :-1], (1, 0))


def total_cost(cost: Float[Tensor, "B T"], observed: Bool[Tensor, "B T"], divisor: float) -> Float[Tensor, ""]:
    """The sum over the observed values, over ``divisor``."""
    return cost.masked_fill(~observed, 0.0).sum() / divisor


def carried(values: Float[Tensor, "B T"], observed: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """In the place of each missing value the last one before it; 0 before a row begins."""
    steps = torch.arange(values.shape[1], device=values.device)
    last = torch.where(observed, steps, -1).cummax(1).values
    return values.gather(1, last.clamp(min=0)).masked_fill(last < 0, 0.0)
