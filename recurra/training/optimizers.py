"""Update rules by their name in the literature; all from ``torch.optim``."""

from collections.abc import Iterable

from torch import nn, optim

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
