"""Batches whose rows have lengths of their own: where a row ends, what lies behind its end, the row backwards."""

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from recurra.recurrence.packing import in_one_column, pick


def within(lengths: Int[Tensor, " B"], steps: int) -> Bool[Tensor, "B {steps}"]:
    """Which of ``steps`` steps belong to each row."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def blank_padding(x: Shaped[Tensor, "B T *rest"], lengths: Int[Tensor, " B"] | None) -> Shaped[Tensor, "B T *rest"]:
    """The sequences with zeros past each row's end, whatever stood there (not a number included)."""
    if lengths is None:
        return x
    ended = ~within(lengths, x.shape[1])
    return x.masked_fill(ended.view(*ended.shape, *[1] * (x.dim() - 2)), 0)


def reverse(
    sequence: Shaped[Tensor, "B T *rest"], lengths: Int[Tensor, " B"] | None = None
) -> Shaped[Tensor, "B T *rest"]:
    """Each row's own steps in reverse order; what lies past its end stays where it is. Its own inverse."""
    if lengths is None:
        return sequence.flip(1)
    steps = torch.arange(sequence.shape[1], device=sequence.device)
    order = torch.where(within(lengths, sequence.shape[1]), lengths.unsqueeze(1) - 1 - steps, steps)
    column, row, step = in_one_column(sequence)
    rows = torch.arange(len(sequence), device=sequence.device).unsqueeze(1)
    return pick(column, (rows * row + order * step).flatten()).unflatten(0, order.shape)
