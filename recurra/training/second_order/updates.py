"""Updates with curvature, as the training loop makes them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn, optim

from recurra.errors import BadInput, NotFinite
from recurra.layers import Bidirectional, Recurrent
from recurra.recurrence.state import State, detach
from recurra.training.checkpoint import random_state, restore_random_state
from recurra.training.first_order import check_finite
from recurra.training.problem import Form, Problem
from recurra.training.second_order.hessian_free import HessianFree
from recurra.training.second_order.passes import trainable
from recurra.training.second_order.saddle_free import SaddleFreeNewton
from recurra.training.settings import SECOND_ORDER, Settings
from recurra.training.update import BadNumber, Outcome

TASKS = (
    "language-model, classification, tagging with --output softmax, program-execution, translation, dialogue, problem"
)
"""Whose losses have a Gauss–Newton form."""


def check_second_order(problem: Problem, settings: Settings) -> None:
    """Refuse what updates with curvature cannot do; nothing where the optimizer needs none.

    Raises:
        BadInput: the problem has no Gauss–Newton form, the precision is mixed, or structural damping finds no states.
    """
    if settings.optimizer not in SECOND_ORDER:
        return
    option = f"--optimizer {settings.optimizer}"
    if problem.form is None:
        raise BadInput(f"{option}: this loss has no Gauss–Newton form; those of {TASKS} have (copying aside)")
    if settings.precision == "bfloat16":
        raise BadInput(f"{option} needs exact products; leave out --precision bfloat16")
    if settings.optimizer == "hessian-free" and settings.structural_damping and not _recurrent(problem.model):
        raise BadInput(
            "--structural-damping holds the states of recurrent layers, and this model has none; leave it out"
        )


class SecondOrder:
    """Updates by :class:`HessianFree` or :class:`SaddleFreeNewton` of a group of batches."""

    def __init__(self, problem: Problem, settings: Settings, fabric: Fabric) -> None:
        check_second_order(problem, settings)
        self._fabric, self._model = fabric, problem.model
        self._form = fabric.setup_module(_Forms(problem))
        self.optimizer: HessianFree | SaddleFreeNewton = _build(problem.model, settings)

    def make(self, group: Sequence[Any], state: State | None, rate: float) -> Outcome:
        """See :class:`recurra.training.update.Update`."""
        starts, attempts = [state], []
        found: list[tuple[float, int]] = []

        def objective(numbered: tuple[int, Any]) -> tuple[State, Callable[[State], Tensor]]:
            number, batch = numbered
            if number < len(found):
                form = self._form(batch, starts[number])
                return form.outputs, form.loss
            # the first pass of this batch, which says where the next one starts
            attempts.append(partial(self._attempt, batch, starts[number], random_state()))
            form = self._form(batch, starts[number])
            with torch.no_grad():
                mean = form.loss(form.outputs) * form.per_item
            check_finite(mean, form.state, attempts[-1])
            starts.append(None if form.state is None else detach(form.state))
            found.append((mean.item(), form.items))
            return form.outputs, form.loss

        if isinstance(self.optimizer, SaddleFreeNewton) and self.optimizer.first is not None:
            for parameter_group in self.optimizer.first.param_groups:
                parameter_group["lr"] = rate
        try:
            self.optimizer.step(list(enumerate(self._fabric.to_device(list(group)))), objective)
        except NotFinite as error:
            raise BadNumber("gradient of", *attempts) from error
        losses, items = zip(*found, strict=True)
        return Outcome(list(losses), sum(items), starts[-1])

    def backward(self, loss: Tensor) -> None:
        """Without anything in between."""
        loss.backward()

    def _attempt(self, batch: Any, state: State | None, generators: dict[str, Tensor]) -> Tensor:
        restore_random_state(generators)
        form = self._form(batch, state)
        return form.loss(form.outputs)


class _Forms(nn.Module):
    """Model and form as one module, for Fabric's wrapper."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.model = problem.model
        self._form: Any = problem.form

    def forward(self, batch: Any, state: State | None) -> Form:
        return self._form(self.model, batch, state)


def _build(model: nn.Module, settings: Settings) -> HessianFree | SaddleFreeNewton:
    if settings.optimizer == "hessian-free":
        return HessianFree(
            model,
            damping=settings.damping,
            weight_decay=settings.weight_decay,
            iterations=settings.curvature_products or 50,
            curvature_share=settings.curvature_share,
            structural_damping=settings.structural_damping,
            hidden=_recurrent(model) if settings.structural_damping else (),
        )
    parameters = trainable(model).values()
    return SaddleFreeNewton(
        model,
        first=optim.SGD(
            parameters, lr=settings.learning_rate, momentum=settings.momentum, weight_decay=settings.weight_decay
        ),
        clip_norm=settings.clip_norm,
        subspace=settings.curvature_products or 30,
        weight_decay=settings.weight_decay,
        curvature_share=settings.curvature_share,
    )


def _recurrent(model: nn.Module) -> list[nn.Module]:
    """Its sequence layers; those inside a bidirectional one are not called by themselves."""
    return [layer for layer in model.modules() if isinstance(layer, Recurrent | Bidirectional)]
