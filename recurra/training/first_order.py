"""Updates by gradients, clipped, and a rule of ``torch.optim``."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor, nn, optim

from recurra.recurrence.state import State, detach, tensors
from recurra.training.checkpoint import random_state, restore_random_state
from recurra.training.gradients import held_gradients
from recurra.training.optimizers import build_optimizer, update_weights
from recurra.training.penalties.applied import Penalties
from recurra.training.problem import Loss, Problem
from recurra.training.settings import Settings
from recurra.training.update import BadNumber, Outcome


class FirstOrder:
    """Updates by the mean gradient of a group of batches."""

    def __init__(self, problem: Problem, settings: Settings, fabric: Fabric) -> None:
        self._settings, self._fabric = settings, fabric
        self._parameters = [p for p in problem.model.parameters() if p.requires_grad]
        self._penalties = Penalties(problem.model, settings.regularize)
        optimizer = build_optimizer(self._parameters, settings)
        self.objective, wrapped = fabric.setup(Objective(problem), optimizer)
        self.optimizer: optim.Optimizer = wrapped

    def make(self, group: Sequence[Any], state: State | None, rate: float) -> Outcome:
        """See :class:`recurra.training.update.Update`."""
        self.optimizer.zero_grad(set_to_none=True)
        attempts, means, items = [], [], 0
        for batch in self._fabric.to_device(list(group)):
            attempts.append(partial(self._attempt, batch, state, random_state()))
            with self._penalties.watching():
                loss = self.objective(batch, state)
            self._fabric.backward(loss.value / len(group))
            self._penalties.add_gradients(len(group))
            check_finite(loss.mean, loss.state, attempts[-1])
            state = None if loss.state is None else detach(loss.state)
            means.append(loss.mean.item())
            items += loss.items
        gradients = held_gradients(self._parameters)
        norm = nn.utils.get_total_norm(gradients)
        if not norm.isfinite():
            raise BadNumber("gradient of", *attempts)
        update_weights(self.optimizer, gradients, norm, rate, self._settings)
        self._penalties.after_step(rate)
        return Outcome(means, items, state)

    def backward(self, loss: Tensor) -> None:
        """By Fabric."""
        self._fabric.backward(loss)

    def _attempt(self, batch: Any, state: State | None, generators: dict[str, Tensor]) -> Tensor:
        """The loss of a batch computed again."""
        restore_random_state(generators)
        return self.objective(batch, state).value


class Objective(nn.Module):
    """Model and loss as one module, so that Fabric's wrapper (devices, precision) goes around both."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.model = problem.model
        self._loss = problem.loss

    def forward(self, batch: Any, state: State | None) -> Loss:
        return self._loss(self.model, batch, state)


def check_finite(loss: Tensor, state: State | None, attempt: Callable[[], Tensor]) -> None:
    """Raise BadNumber where a batch's loss, or the state after it, is not finite."""
    if not math.isfinite(loss.item()):
        raise BadNumber("loss of", attempt)
    if state is not None and not all(leaf.isfinite().all() for leaf in tensors(state)):
        raise BadNumber("state after", attempt)
