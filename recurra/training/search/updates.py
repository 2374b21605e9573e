"""Updates without gradients, as the training loop makes them."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from recurra.recurrence.state import State, detach
from recurra.training.checkpoint import random_state, restore_random_state
from recurra.training.first_order import Objective, check_finite
from recurra.training.problem import Loss, Problem
from recurra.training.search.evolution import Evolution
from recurra.training.search.guessing import RandomGuessing
from recurra.training.settings import Settings
from recurra.training.update import Outcome


class Search:
    """Updates by :class:`RandomGuessing` or :class:`Evolution`, all draws of which see the same batches and masks."""

    def __init__(self, problem: Problem, settings: Settings, fabric: Fabric) -> None:
        self._fabric = fabric
        self._objective = fabric.setup_module(Objective(problem))
        parameters = [p for p in problem.model.parameters() if p.requires_grad]
        self.optimizer: RandomGuessing | Evolution = (
            RandomGuessing(parameters, scale=settings.spread, seed=settings.seed)
            if settings.optimizer == "guessing"
            else Evolution(parameters, spread=settings.spread, population=settings.population, seed=settings.seed)
        )

    def make(self, group: Sequence[Any], state: State | None, rate: float) -> Outcome:
        """See :class:`recurra.training.update.Update`. The ``rate`` changes nothing."""
        batches, generators = self._fabric.to_device(list(group)), random_state()

        @torch.no_grad()
        def losses() -> list[Loss]:
            restore_random_state(generators)
            found, before = [], state
            for batch in batches:
                loss = self._objective(batch, before)
                before = None if loss.state is None else detach(loss.state)
                found.append(loss)
            return found

        self.optimizer.step(lambda: sum(loss.mean for loss in losses()) / len(batches))
        kept = losses()  # with the weights as they are now
        for loss in kept:
            check_finite(loss.mean, loss.state, lambda: kept[-1].value)
        last = kept[-1].state
        return Outcome(
            [loss.mean.item() for loss in kept],
            sum(loss.items for loss in kept),
            None if last is None else detach(last),
        )

    def backward(self, loss: Tensor) -> None:
        """Without anything in between."""
        loss.backward()
