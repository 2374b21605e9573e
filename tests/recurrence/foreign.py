"""The cells of torchrecurrent, which nobody here wrote, as layers."""

from typing import Any

import torch
import torchrecurrent
from torch import Tensor, nn

from recurra.layers import Recurrent
from recurra.recurrence import reference
from recurra.recurrence.state import map_state

NAMES = tuple(name for name in dir(torchrecurrent) if name.endswith("Cell"))
SQUARE = ("IntersectionRNNCell",)
"""Cells whose output needs as many features as their input has."""


def state_of(cell: nn.Module, x: Tensor) -> Any:
    """The part of a cell's result for ``x (B, I)`` that it takes back as its state."""
    result = cell(x)
    for state in (result[1], result) if isinstance(result, tuple) else (result,):
        try:
            reference.take_step(cell, x, state)
        except (TypeError, ValueError, IndexError, RuntimeError):
            continue
        return state
    raise AssertionError(f"{type(cell).__name__} takes no part of its own result back")


def foreign_layer(name: str, input_size: int, hidden_size: int, dtype: torch.dtype) -> Recurrent:
    """A layer that starts from zeros."""
    cell = getattr(torchrecurrent, name)(input_size, hidden_size).to(dtype)
    example = state_of(cell, torch.zeros(3, input_size, dtype=dtype))  # of two rows a tensor could pass for a pair
    return Recurrent(cell, lambda rows: map_state(lambda leaf: leaf.new_zeros(rows, *leaf.shape[1:]), example))
