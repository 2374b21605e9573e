"""Update rules by their name in the literature; all from ``torch.optim``."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn, optim

from recurra.training.gradients import clip_factor, clip_gradients, proportional
from recurra.training.settings import Settings


def build_optimizer(parameters: Iterable[nn.Parameter], settings: Settings) -> optim.Optimizer:
    """The rule that ``settings.optimizer`` names, with the rate, momentum and weight decay of the settings.

    Where torch has the rule as one pass over the weights, it is asked for; plain SGD is that anyway.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    match settings.optimizer:
        case "sgd":
            return optim.SGD(parameters, lr=rate, weight_decay=decay)
        case "momentum":
            return optim.SGD(parameters, momentum=settings.momentum, lr=rate, weight_decay=decay, fused=True)
        case "nesterov":
            return optim.SGD(
                parameters, momentum=settings.momentum, nesterov=True, lr=rate, weight_decay=decay, fused=True
            )
        case "adagrad":
            return optim.Adagrad(parameters, lr=rate, weight_decay=decay, fused=True)
        case "adadelta":
            return optim.Adadelta(parameters, lr=rate, weight_decay=decay)
        case "rmsprop":
            return optim.RMSprop(parameters, lr=rate, weight_decay=decay)
        case "adam":
            return optim.Adam(parameters, lr=rate, weight_decay=decay, fused=True)
        case "adamw":
            return optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
        case _:
            raise ValueError(f"{settings.optimizer} is no rule of gradients alone")


def update_weights(optimizer: Any, gradients: list[Tensor], norm: Tensor, rate: float, settings: Settings) -> None:
    """One update at ``rate`` with the gradients, clipped as the settings say.

    Args:
        optimizer: of :func:`build_optimizer`, or Fabric's wrapper of one.
        gradients: of :func:`recurra.training.gradients.held_gradients`; changed in place.
        norm: the 2-norm of all of them.
    """
    factor = clip_factor(norm, settings)
    if proportional(settings) and settings.clip_value is None:
        rate *= factor  # the same without a pass over the gradients
    else:
        clip_gradients(gradients, factor, settings)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
