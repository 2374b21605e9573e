"""Real-time recurrent learning: the exact derivative of the state with respect to the parameters, carried forward."""

import os
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import vjp, vmap

from recurra.errors import BadInput
from recurra.recurrence.state import State
from recurra.training.online.flat import FlatStep
from recurra.training.online.learner import Learner, Memory
from recurra.training.online.reach import Reach, find_reach


def rtrl(cell: nn.Module, initial_state: Callable[[int], State] | None = None) -> Learner:
    r"""A learner with exact gradients: as those of backpropagation through all the steps so far.

    .. math::
        J = A J' + B, \quad A = \partial s / \partial s', \quad B = \partial s / \partial \theta \text{ of this step}

    J' and s' are those of the step before. J has S P numbers for each row, and moving it on takes S² P multiplications.
    Where no unit sees another one of the step before (IndRNN, SRU, minGRU, minLSTM, LRU), J is zero but for each unit's
    own parameters, and memory and time are those of the parameters.

    Args:
        cell: any that :class:`recurra.Recurrent` takes; several as one by :class:`Depth`.
        initial_state: ``batch_size -> state`` in place of the cell's own start.

    Source: Williams and Zipser (1989), Neural Computation 1(2); for element-wise recurrences Mozer (1989), Complex
    Systems 3, and Zucchet et al. (2023), arXiv:2305.15947.

    Raises:
        BadInput: no cell that can be learnt so; at the first step, J does not fit into this machine's memory.
    """
    return Learner(cell, _exact, initial_state)


def _exact(step: FlatStep, x: Any) -> "Sensitivities":
    reach = find_reach(step, x)
    return Sensitivities(step, reach, own=() if reach.mixes else tuple(reach.own))


class Sensitivities:
    """J by parameter: of some each unit's dependence on its own rows, ``(B, K, *shape)``; of others all of it.

    Args:
        reach: K is the tensors of the state, numbers that a unit has.
        own: parameters of ``reach.own`` of which only the own rows are kept. Where units mix, that leaves out what one
            unit's parameters do to another unit later.
    """

    def __init__(self, step: FlatStep, reach: Reach, own: tuple[str, ...]) -> None:
        self._step, self._reach = step, reach
        self._own = {name: reach.own[name] for name in own}
        self._whole = [name for name in (*reach.own, *reach.others) if name not in own]
        self._mixed = reach.mixes or bool(self._whole)

    def zeros(self, batch_size: int) -> Memory:
        """As of :class:`Method`.

        Raises:
            BadInput: more memory is needed than there is.
        """
        parameters, start = self._step.parameters, self._step.start(1)
        kinds = len(self._step.sizes)
        shapes = {name: (batch_size, kinds, *parameters[name].shape) for name in self._own}
        shapes |= {name: (batch_size, start.shape[1], *parameters[name].shape) for name in self._whole}
        _check_memory(sum(map(prod, shapes.values())) * start.itemsize)
        return {name: start.new_zeros(shape) for name, shape in shapes.items()}

    def advance(self, memory: Memory, x: Any, s: Float[Tensor, "B S"]) -> Memory:
        """As of :class:`Method`."""
        found, blocks = {}, None
        if self._mixed:
            direct, A = vmap(self._by_states)(x, s)
            for name in self._whole:
                J = memory[name]
                B = direct[name].reshape(*J.shape[:2], -1)
                found[name] = torch.baddbmm(B, A, J.view(B.shape)).view(J.shape)
            if self._own:
                kinds, units = len(self._step.sizes), self._step.sizes[0]
                blocks = A.view(-1, kinds, units, kinds, units).diagonal(dim1=2, dim2=4)
        if self._own:
            direct, summed = vmap(self._by_units)(x, s)
            blocks = summed if blocks is None else blocks
            for name, unit in self._own.items():
                J = memory[name]
                found[name] = direct[name] + torch.einsum(
                    "bkcr,bcrm->bkrm", blocks[..., unit], J.view(*J.shape[:3], -1)
                ).view_as(J)
        return found

    def gradients(self, memory: Memory, g: Float[Tensor, "B S"]) -> dict[str, Tensor]:
        """As of :class:`Method`."""
        found = {}
        for name, J in memory.items():
            if name in self._own:
                rows = g.view(len(g), J.shape[1], -1)[..., self._own[name]]
                total = torch.einsum("bkr,bkrm->rm", rows, J.view(*J.shape[:3], -1))
            else:
                total = torch.einsum("bs,bsm->m", g, J.view(*J.shape[:2], -1))
            found[name] = total.view(J.shape[2:])
        return found

    def _by_states(self, x: Any, s: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """B and A of a row, by one backward pass for each number of its state."""
        whole = {name: self._step.parameters[name].detach() for name in self._whole}
        pull: Any = vjp(lambda whole, s: self._step.following(whole, x, s), whole, s)[1]
        return vmap(pull)(torch.eye(len(s), dtype=s.dtype, device=s.device))

    def _by_units(self, x: Any, s: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """B of own parameters and A's diagonal blocks (K, K, H), where units do not mix, by K backward passes.

        A sum over units tells their derivatives apart, as each number acts on one unit.
        """
        kinds, units = len(self._step.sizes), self._step.sizes[0]
        own = {name: self._step.parameters[name].detach() for name in self._own}
        pull: Any = vjp(lambda own, s: self._step.following(own, x, s), own, s)[1]
        ones = torch.eye(kinds, dtype=s.dtype, device=s.device).repeat_interleave(units, dim=1)
        direct, summed = vmap(pull)(ones)
        return direct, summed.view(kinds, kinds, units)


def _check_memory(size: int) -> None:
    """Refuse J of so many bytes where it and its successor, made of as much again, would fill the machine."""
    needed, there = 3 * size, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise BadInput(
            f"exact sensitivities of this state need {needed / 2**30:.1f} GiB of memory, and this machine has "
            f"{there / 2**30:.1f}: use snap-1 or uoro, fewer units or fewer rows"
        )
