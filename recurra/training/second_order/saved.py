"""What optimisers with curvature check of a state before they go on from it."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, optim

from recurra.errors import BadInput


def shapes(parameters: Iterable[Tensor]) -> list[list[int]]:
    """Of all parameters, as a checkpoint can hold them."""
    return [list(each.shape) for each in parameters]


def check_saved(optimizer: optim.Optimizer, saved: dict[str, Any]) -> None:
    """Refuse a state that was saved with other parameters, or by another kind of optimizer.

    Raises:
        BadInput: it was.
    """
    kind = type(optimizer).__name__
    try:
        (group,) = saved["param_groups"]
        keys, before = group.keys(), group["shapes"]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"a state that {kind} has not saved ({error}); load one that its state_dict() gave") from error
    own = optimizer.param_groups[0]
    if keys != own.keys():
        raise BadInput(f"a state that {kind} has not saved: its settings are others; load one of its state_dict()")
    if before != own["shapes"]:
        differing = [(a, b) for a, b in zip(before, own["shapes"], strict=False) if a != b]
        what = f"shape {differing[0][0]} for {differing[0][1]}" if differing else f"{len(before)} parameters"
        raise BadInput(f"a state of another model ({what}); load the state that was saved with this model")
