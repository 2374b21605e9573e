"""Batches whose rows have lengths of their own: where a row ends, what lies behind its end, the row backwards."""

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor


def within(lengths: Int[Tensor, " B"], steps: int) -> Bool[Tensor, "B {steps}"]:
    """Which of ``steps`` steps belong to each row."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def blank_padding(x: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None) -> Float[Tensor, "B T F"]:
    """The sequences with zeros past each row's end, whatever stood there (not a number included)."""
    return x if lengths is None else x.masked_fill(~within(lengths, x.shape[1]).unsqueeze(2), 0.0)


def reverse(
    sequence: Shaped[Tensor, "B T *rest"], lengths: Int[Tensor, " B"] | None = None
) -> Shaped[Tensor, "B T *rest"]:
    """Each row's own steps in reverse order; what lies past its end stays where it is. Its own inverse."""
    if lengths is None:
        return sequence.flip(1)
    steps = torch.arange(sequence.shape[1], device=sequence.device)
    order = torch.where(within(lengths, sequence.shape[1]), lengths.unsqueeze(1) - 1 - steps, steps)
    return sequence.gather(1, order.view(*order.shape, *[1] * (sequence.dim() - 2)).expand_as(sequence))
