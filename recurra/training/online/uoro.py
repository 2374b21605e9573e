"""Unbiased online recurrent optimisation: the derivative of the state as one random outer product."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import vjp, vmap

from recurra.recurrence.state import State
from recurra.training.online.flat import FlatStep
from recurra.training.online.learner import Learner, Memory

_STATE = "state"  # the other names are those of parameters, all of which begin with "cell."


def uoro(cell: nn.Module, initial_state: Callable[[int], State] | None = None) -> Learner:
    r"""A learner whose gradient is right on average: J is estimated by one product of two vectors.

    .. math::
        \tilde s = \rho_0 A \tilde s' + \rho_1 \nu, \quad \tilde \theta = \tilde \theta' / \rho_0 + \nu^T B / \rho_1

    ν are random signs, of torch's generator; :math:`\tilde s \tilde\theta^T` has the expectation J whatever ρ is, and
    the least variance where the norms of both vectors are equal. Memory and time are those of the parameters, for any
    cell; the price is noise.

    Args:
        cell: any that :class:`recurra.Recurrent` takes; several as one by :class:`Depth`.
        initial_state: ``batch_size -> state`` in place of the cell's own start.

    Source: Tallec and Ollivier (2017), arXiv:1702.05043.

    Raises:
        BadInput: no cell that can be learnt so.
    """
    return Learner(cell, lambda step, x: RankOne(step), initial_state)


class RankOne:
    """J as the outer product of ``memory["state"]`` (B, S) and, of each parameter, ``(B, *shape)``."""

    def __init__(self, step: FlatStep) -> None:
        self._step = step

    def zeros(self, batch_size: int) -> Memory:
        """As of :class:`Method`."""
        start = torch.zeros_like(self._step.start(batch_size))
        return {_STATE: start} | {
            name: start.new_zeros(batch_size, *parameter.shape) for name, parameter in self._step.parameters.items()
        }

    def advance(self, memory: Memory, x: Any, s: Float[Tensor, "B S"]) -> Memory:
        """As of :class:`Method`."""
        signs = torch.randint(0, 2, s.shape, device=s.device).to(s.dtype).mul_(2).sub_(1)
        moved = vmap(self._moved)(x, s, memory[_STATE])
        direct = vmap(self._direct)(x, s, signs)
        before = {name: memory[name] for name in direct}
        past, now = _balance(_norm(before), moved.norm(dim=1)), _balance(_norm(direct), signs.norm(dim=1))
        found = {name: _times(1 / past, before[name]) + _times(1 / now, direct[name]) for name in direct}
        return {_STATE: _times(past, moved) + _times(now, signs)} | found

    def gradients(self, memory: Memory, g: Float[Tensor, "B S"]) -> dict[str, Tensor]:
        """As of :class:`Method`."""
        factor = (g * memory[_STATE]).sum(1)
        return {name: torch.tensordot(factor, value, 1) for name, value in memory.items() if name != _STATE}

    def _moved(self, x: Any, s: Tensor, along: Tensor) -> Tensor:
        """A times a vector, for one row: the transpose of a product with A's transpose.

        ``torch.func.jvp`` is one pass less, but compiles scripts in a way that torch itself calls deprecated.
        """
        pull: Any = vjp(lambda s: self._step.following({}, x, s), s)[1]
        push: Any = vjp(lambda g: pull(g)[0], torch.zeros_like(s))[1]
        moved: Tensor = push(along)[0]
        return moved

    def _direct(self, x: Any, s: Tensor, signs: Tensor) -> dict[str, Tensor]:
        """A vector times B, for one row."""
        parameters = {name: value.detach() for name, value in self._step.parameters.items()}
        pull: Any = vjp(lambda parameters: self._step.following(parameters, x, s), parameters)[1]
        found: dict[str, Tensor] = pull(signs)[0]
        return found


def _norm(parts: dict[str, Tensor]) -> Float[Tensor, " B"]:
    return torch.stack([part.flatten(1).norm(dim=1) for part in parts.values()]).norm(dim=0)


def _balance(one: Float[Tensor, " B"], other: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """ρ, by which the norm ``other`` grows and ``one`` shrinks so that they meet; 1 where both are zero."""
    least = torch.finfo(one.dtype).tiny ** 0.5
    return ((one + least) / (other + least)).sqrt()


def _times(factor: Float[Tensor, " B"], value: Tensor) -> Tensor:
    return factor.view(-1, *[1] * (value.dim() - 1)) * value
