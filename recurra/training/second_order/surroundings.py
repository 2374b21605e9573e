"""The loss of some batches about the present weights: what an algorithm with curvature asks."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import grad

from recurra.errors import NotFinite
from recurra.training.second_order.passes import B, Made, Objective, Pass, trainable
from recurra.training.second_order.vectors import filled, flat, parts


class Curvature(Protocol):
    """A curvature matrix of one batch, with what a pass gives of it anyway."""

    value: Tensor
    gradient: Float[Tensor, " N"]

    def product(self, v: Float[Tensor, " N"]) -> Float[Tensor, " N"]: ...


class Surroundings:
    r"""The mean loss f of some batches near a model's present weights :math:`\theta`, plus an L2 penalty.

    f is one function while this object lives: every evaluation draws the same masks of dropout. Memory beside the
    weights: the gradient and its square, and what each of the ``curved`` batches keeps. Time of one value: a forward
    pass of every batch.

    Args:
        batches: at least one.
        objective: of a batch, its outputs and the function from outputs to loss.
        curved: the numbers of the batches whose curvature may be asked for.
        curvature: of one of these, from its pass, what the pass gave, and the parameters.
        layers: whose outputs are hidden states.
        weight_decay: times half the squared 2-norm of the weights is added to f.

    Attributes:
        losses: of each batch, without the penalty.
        value: f here.
        gradient: of f here, ``(N,)``.
        squares: the mean over batches of their gradients' squares, ``(N,)``.

    Raises:
        ValueError: no batch, or nothing to learn.
        NotFinite: the loss or its gradient is not.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Sequence[B],
        objective: Objective[B],
        curved: Iterable[int] = (),
        curvature: Callable[[Pass[B], Made, Sequence[Tensor]], Any] | None = None,
        *,
        layers: Sequence[nn.Module] = (),
        weight_decay: float = 0.0,
    ) -> None:
        self.parameters: list[Tensor] = list(trainable(model).values())
        if not batches or not self.parameters:
            raise ValueError("an update needs at least one batch and one parameter that is learnt")
        self._decay, self._passes = weight_decay, []
        self.curvatures: list[Any] = []
        self.losses: list[float] = []
        self.gradient = self.parameters[0].new_zeros(sum(each.numel() for each in self.parameters))
        self.squares = torch.zeros_like(self.gradient)
        chosen = set(curved)
        for number, batch in enumerate(batches):
            taken = Pass(model, objective, batch, layers)
            self._passes.append(taken)
            with torch.enable_grad():
                made = taken.first()
            if curvature is not None and number in chosen:
                self.curvatures.append(found := curvature(taken, made, self.parameters))
                self._add(found.value, found.gradient, len(batches))
            else:
                self._add(*self._slope(made, self.parameters), len(batches))
        weights = flat(self.parameters).detach()
        self.value = sum(self.losses) / len(batches) + weight_decay / 2 * weights.square().sum().item()
        self.gradient.add_(weights, alpha=weight_decay)
        if not (math.isfinite(self.value) and self.gradient.isfinite().all()):
            raise NotFinite("the loss or its gradient is not finite; the weights are as they were before this update")

    def product(self, v: Float[Tensor, " N"], **options: float) -> Float[Tensor, " N"]:
        """The mean curvature of the curved batches times v, with that of the penalty."""
        total = self._decay * v
        for each in self.curvatures:
            total += each.product(v, **options) / len(self.curvatures)
        return total

    @torch.no_grad()
    def value_at(self, offset: Float[Tensor, " N"]) -> float:
        """f at the present weights and ``offset``; infinite where it is not a number."""
        weights = flat(self.parameters) + offset
        total = 0.0
        for taken in self._passes:
            made = taken.at(parts(weights, self.parameters))
            total += made.loss(made.outputs).item() / len(self._passes)
        total += self._decay / 2 * weights.square().sum().item()
        return math.inf if math.isnan(total) else total

    def gradient_at(self, offset: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """The gradient of f there."""
        weights = flat(self.parameters).detach() + offset
        total = self._decay * weights
        values = [part.clone().requires_grad_() for part in parts(weights, self.parameters)]
        for taken in self._passes:
            with torch.enable_grad():
                made = taken.at(values)
            total += self._slope(made, values)[1] / len(self._passes)
        return total

    @torch.no_grad()
    def move(self, offset: Float[Tensor, " N"]) -> None:
        """Add ``offset`` to the model's weights."""
        for parameter, part in zip(self.parameters, parts(offset, self.parameters), strict=True):
            parameter.add_(part)

    def _add(self, value: Tensor, gradient: Tensor, batches: int) -> None:
        self.losses.append(value.item())
        self.gradient.add_(gradient, alpha=1 / batches)
        self.squares.addcmul_(gradient, gradient, value=1 / batches)

    @staticmethod
    def _slope(made: Made, at: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            value = made.loss(made.outputs)
        return value.detach(), flat(filled(grad(value, at, allow_unused=True), at))


def overlapping(batches: int, share: float, update: int) -> list[int]:
    """Which of an update's batches its curvature is taken of: a window that moves on by half of itself.

    The window is the ``share`` of them, rounded up. Where the batches are the same from update to update, half of those
    whose curvature is taken were so in the update before.
    """
    size = math.ceil(share * batches)
    begin = update * math.ceil(size / 2)
    return [(begin + number) % batches for number in range(size)]
