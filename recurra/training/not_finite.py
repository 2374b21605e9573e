"""Where the first number that is not finite arose: the layer, and the step of the sequence."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from recurra.training.gradients import held_gradients


def bad_weights(model: nn.Module) -> str | None:
    """A phrase that names the first weights that are not finite, if any are."""
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            return f"the weights {name}"
    return None


def first_bad_number(
    model: nn.Module, loss: Callable[[], Tensor], backward: Callable[[Tensor], None] = Tensor.backward
) -> str | None:
    """Run ``loss`` forward and backward again under watch.

    Args:
        model: its modules are watched in the order in which they finish, so an inner one is named before its outer one.
        loss: computes the scalar loss with ``model``, from the same weights, inputs and random state as before.
        backward: differentiates it.

    Returns:
        A phrase that names the place, to follow "the first bad number arose in"; None where all numbers are finite.
    """
    places: list[str] = []
    steps: dict[str, int] = {}

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            outputs = list(_tensors(result))
            before = steps.get(name, 0)
            after = steps[name] = before + (outputs[0].shape[1] if outputs and outputs[0].dim() >= 3 else 1)
            for output in outputs:
                note(name, output, before, after)
                if output.requires_grad:
                    output.register_hook(lambda grad: note(f"the gradient of {name}", grad, before, after))

        return hook

    def note(what: str, values: Tensor, before: int, after: int) -> None:
        if (step := _bad_step(values, before, after)) is not None:
            places.append(f"{what} at step {step}")

    handles = [
        module.register_forward_hook(watch(name or type(module).__name__)) for name, module in model.named_modules()
    ]
    model.zero_grad(set_to_none=True)
    try:
        value = loss()
        if not places and not value.isfinite():
            return "the loss itself: the model's outputs are finite"
        if not places and value.requires_grad:
            backward(value)
            places += [f"the gradient of the weights {name}" for name in _bad_gradients(model)]
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad(set_to_none=True)
    return places[0] if places else None


def _bad_gradients(model: nn.Module) -> Iterator[str]:
    for name, parameter in model.named_parameters():
        if not all(gradient.isfinite().all() for gradient in held_gradients([parameter])):
            yield name


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor) and result.is_floating_point():
        yield result
    elif isinstance(result, tuple | list):
        for value in result:
            yield from _tensors(value)


def _bad_step(values: Tensor, before: int, after: int) -> int | None:
    """The first step, counted from 1, with a value that is not finite.

    A module called once for a sequence gives (batch, time, features), the steps ``before`` + 1 to ``after``; what has
    no time axis (the state it ends with, or all that a module called at every step gives) belongs to step ``after``.
    """
    bad = ~torch.isfinite(values.detach())
    if not bad.any():
        return None
    if values.dim() >= 3:
        return before + int(bad.flatten(2).any(-1).any(0).nonzero()[0]) + 1
    return after
