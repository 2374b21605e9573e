"""Passes of a model that can be taken again, at other weights, to the same numbers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor, nn
from torch.func import functional_call

from recurra.recurrence.state import State, tensors
from recurra.training.checkpoint import random_state, restore_random_state

B = TypeVar("B")

Objective = Callable[[B], tuple[State, Callable[[State], Tensor]]]
"""From a batch to a model's outputs (a tensor or any nesting) and a function from such outputs to a scalar loss."""


class Made(NamedTuple):
    """What a pass gives: an objective's outputs and loss, and the outputs of layers that were watched."""

    outputs: State
    loss: Callable[[State], Tensor]
    hidden: list[Tensor]


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are learnt, a shared one once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


class Pass(Generic[B]):
    """A pass of a model over one batch.

    Every repetition draws the numbers that the first one drew, masks of dropout for instance, and leaves weights,
    buffers and generators alone. Memory: a copy of the model's buffers.

    Args:
        layers: modules whose outputs, or the first of them, are kept as ``hidden``.
    """

    def __init__(self, model: nn.Module, objective: Objective[B], batch: B, layers: Sequence[nn.Module] = ()) -> None:
        self._whole = _Whole(model, lambda: self.first())
        self._objective, self._batch, self._layers = objective, batch, layers
        self._random = random_state()
        self._buffers = {f"model.{name}": buffer.clone() for name, buffer in model.named_buffers()}
        self._names = [f"model.{name}" for name in trainable(model)]

    def first(self) -> Made:
        """The pass at the model's own weights, as training takes it: it changes buffers and moves generators on."""
        with _watched(self._layers) as hidden:
            return Made(*self._objective(self._batch), hidden)

    def at(self, values: Iterable[Tensor]) -> Made:
        """The same pass with other values of the trainable parameters, in their order; dual numbers among them."""
        now = random_state()
        restore_random_state(self._random)
        try:
            buffers = {name: buffer.clone() for name, buffer in self._buffers.items()}
            return functional_call(self._whole, {**dict(zip(self._names, values, strict=True)), **buffers}, ())
        finally:
            restore_random_state(now)


class _Whole(nn.Module):
    """Any function of a model, as a module whose call torch can give other weights to."""

    def __init__(self, model: nn.Module, call: Callable[[], Made]) -> None:
        super().__init__()
        self.model, self.call = model, call

    def forward(self) -> Made:
        return self.call()


@contextmanager
def _watched(layers: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    found: list[Tensor] = []

    def note(module: nn.Module, given: Any, result: Any) -> None:
        found.append(next(tensors(result)))

    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
