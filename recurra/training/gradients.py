"""What backward left in the parameters: dense gradients, and of embeddings perhaps those of the touched rows alone."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from recurra.training.settings import Settings


def proportional(settings: Settings) -> bool:
    """Whether an update is the gradient times a number: then what has no gradient stays, and rows of it do."""
    return settings.optimizer == "sgd" and settings.weight_decay == 0


def held_gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """The numbers of all gradients, to be changed in place; rows of a sparse one that are zero are not among them."""
    found = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            found.append(parameter.grad.values())
        elif parameter.grad is not None:
            found.append(parameter.grad)
    return found


def clip_factor(norm: Tensor, settings: Settings) -> float:
    """What gradients of the 2-norm ``norm`` are to be multiplied by: 1 at most."""
    return 1.0 if settings.clip_norm is None else min(1.0, settings.clip_norm / (norm.item() + 1e-6))


def clip_gradients(gradients: list[Tensor], factor: float, settings: Settings) -> None:
    """Multiply the gradients by ``factor``, then cut them off at ``clip_value``."""
    if factor < 1:
        torch._foreach_mul_(gradients, factor)
    if settings.clip_value is not None:
        torch._foreach_clamp_max_(gradients, settings.clip_value)
        torch._foreach_clamp_min_(gradients, -settings.clip_value)
