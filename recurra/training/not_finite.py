"""Where the first number that is not finite arose: the layer, and the step of the sequence."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


def first_bad_number(model: nn.Module, loss: Callable[[], Tensor]) -> str:
    """Run ``loss`` forward and backward again under watch.

    Args:
        model: its modules are watched in the order in which they finish, so an inner one is named before its outer one.
        loss: computes the scalar loss with ``model``, from the same weights, inputs and random state as before.

    Returns:
        A phrase that names the place, to follow "the first bad number arose in".
    """
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            return f"the weights {name}"
    places: list[str] = []
    calls: dict[str, int] = {}

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            call = calls[name]
            for output in _tensors(result):
                if step := _bad_step(output, call):
                    places.append(f"{name} at step {step}")
                if output.requires_grad:
                    output.register_hook(lambda grad: note_gradient(name, grad, call))

        return hook

    def note_gradient(name: str, gradient: Tensor, call: int) -> None:
        if step := _bad_step(gradient, call):
            places.append(f"the gradient of {name} at step {step}")

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        value = loss()
        if not places and not value.isfinite():
            return "the loss itself: the model's outputs are finite"
        if not places:
            value.backward()
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad(set_to_none=True)
    return places[0] if places else "no place that a second run of the same batch could find"


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor) and result.is_floating_point():
        yield result
    elif isinstance(result, tuple | list):
        for value in result:
            yield from _tensors(value)


def _bad_step(values: Tensor, call: int) -> int | None:
    """The first step, counted from 1, with a value that is not finite.

    A module called once per sequence gives (batch, time, features); one called at every step gives (batch, features),
    and its step is the number of the call.
    """
    bad = ~torch.isfinite(values.detach())
    if not bad.any():
        return None
    if values.dim() >= 3:
        return int(bad.flatten(2).any(-1).any(0).nonzero()[0]) + 1
    return call
