"""The nonlinearities that a cell can be asked for by name."""

from collections.abc import Callable

import torch
from torch import Tensor

from recurra.errors import unknown


def identity(drive: Tensor) -> Tensor:
    """The drive itself: a linear unit."""
    return drive


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "identity": identity,
}


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The function of that name.

    Raises:
        BadInput: no activation is called that.
    """
    if name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
