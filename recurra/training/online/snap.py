"""Sparse n-step approximation of real-time recurrent learning, n = 1."""

from collections.abc import Callable
from typing import Any

from torch import nn

from recurra.recurrence.state import State
from recurra.training.online.flat import FlatStep
from recurra.training.online.learner import Learner
from recurra.training.online.reach import find_reach
from recurra.training.online.rtrl import Sensitivities


def snap1(cell: nn.Module, initial_state: Callable[[int], State] | None = None) -> Learner:
    """A learner that knows of each unit how it depends on the parameters that reach it within one step, all steps long.

    What a parameter does to one unit and that unit to another later is left out: the gradient is biased, without noise.
    A unit is its number in each tensor of the state, h and s of an LSTM; the paper counts these singly and keeps less.
    For element-wise recurrences nothing is left out. Memory is that of the parameters, times the tensors of the state;
    of parameters that reach every unit within a step (a gate on what a product reads) all is kept, as by :func:`rtrl`.
    Where units see each other the step's Jacobian A is formed, by S backward passes through the step.

    Args:
        cell: any that :class:`recurra.Recurrent` takes. Of several layers, make a learner for each: it gets the
            gradient that the layer above passes down in the same step.
        initial_state: ``batch_size -> state`` in place of the cell's own start.

    Source: Menick et al. (2020), arXiv:2006.07232.

    Raises:
        BadInput: no cell that can be learnt so; at the first step, the memory does not fit into this machine.
    """
    return Learner(cell, _sparse, initial_state)


def _sparse(step: FlatStep, x: Any) -> Sensitivities:
    reach = find_reach(step, x)
    return Sensitivities(step, reach, own=tuple(reach.own))
