"""Hessian-free optimisation: Newton steps by the Gauss–Newton matrix, solved for and damped, without forming it."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn, optim

from recurra.training.second_order.conjugate_gradients import Solution, conjugate_gradients
from recurra.training.second_order.curvature import GaussNewton
from recurra.training.second_order.passes import B, Objective, trainable
from recurra.training.second_order.saved import check_saved, shapes
from recurra.training.second_order.surroundings import Surroundings, overlapping
from recurra.training.second_order.vectors import flat, parts

SHRINK, GROW = 2 / 3, 3 / 2
SUFFICIENT, SHORTER, SHORTENINGS = 1e-2, 0.8, 60
PRECONDITIONING = 0.75


class HessianFree(optim.Optimizer):
    r"""Truncated Newton steps :math:`(G + \lambda I)\,p = -\nabla f` for losses that are convex in a model's outputs.

    ::

        def objective(batch):
            x, y = batch
            return model(x), lambda outputs: nn.functional.cross_entropy(outputs, y)

        optimizer = HessianFree(model)
        for batches in updates:  # each a list of batches, often of one
            loss = optimizer.step(batches, objective)

    A step takes the gradient of all batches and the curvature of a part of them, solves by conjugate gradients from
    where the last update ended, goes back along the solutions as long as the loss falls, adapts the damping λ by how
    well the quadratic foretold that (the ratio ρ of both changes: below 1/4, λ grows by 3/2, above 3/4, it shrinks by
    2/3), and shortens the step until the loss has fallen enough; where it never does, the weights stay. There is no
    learning rate. What a batch is does not matter: only ``objective`` reads it.

    Memory: some 10 vectors of the model's size and one for each solution that is kept (13 for 50 iterations), and the
    graph of one forward pass for every batch whose curvature is taken. Time of an update: of each batch a forward and a
    backward pass, and a forward pass for each loss on the way (often 5 to 15); of each whose curvature is taken, for
    every iteration a forward pass with tangents and a backward: as 2 to 3 gradients.

    Args:
        model: its trainable parameters are learnt, all of one type and on one device.
        damping: the first λ.
        weight_decay: L2 penalty, part of the loss.
        iterations: of conjugate gradients, at most.
        warm_start: the part of the last solution that the next one begins with, 0 to 1.
        curvature_share: the part of the batches whose curvature is taken, at least one: a window that moves on by half
            of itself from update to update, so that batches which stay overlap by half.
        structural_damping: μ: λμ times half the mean squared distance that the vectors of hidden states move by is
            added to the quadratic, so that a small change of recurrent weights that changes all states counts as large.
        hidden: the layers whose outputs (or the first of them) are hidden states.
        preconditioned: divide residuals by (the mean squared gradient of the batches + λ)^0.75.

    Source: Martens (2010); Martens and Sutskever (2011), Learning recurrent neural networks with Hessian-free
    optimization.

    Raises:
        ValueError: an argument out of range, nothing to learn, or structural damping without hidden layers.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        damping: float = 1.0,
        weight_decay: float = 0.0,
        iterations: int = 50,
        warm_start: float = 0.95,
        curvature_share: float = 1.0,
        structural_damping: float = 0.0,
        hidden: Sequence[nn.Module] = (),
        preconditioned: bool = False,
    ) -> None:
        if not (damping > 0 and iterations >= 1 and 0 < curvature_share <= 1 and 0 <= warm_start <= 1):
            raise ValueError("damping must be above 0, iterations at least 1, shares and warm_start at most 1")
        if structural_damping < 0 or (structural_damping > 0 and not hidden):
            raise ValueError("structural_damping must be at least 0, and needs the layers whose outputs are hidden")
        parameters = list(trainable(model).values())
        super().__init__(
            parameters,
            {
                "damping": damping,
                "weight_decay": weight_decay,
                "iterations": iterations,
                "warm_start": warm_start,
                "curvature_share": curvature_share,
                "structural_damping": structural_damping,
                "preconditioned": preconditioned,
                "updates": 0,
                "shapes": shapes(parameters),
            },
        )
        self._model, self._hidden = model, hidden

    def step(self, batches: Sequence[B], objective: Objective[B]) -> float:  # type: ignore[override]
        """One update.

        Args:
            batches: at least one; the loss is the mean of theirs.
            objective: of a batch, the model's outputs, a tensor or any nesting of them, and a function from such
                outputs to the scalar loss, convex in them.

        Returns:
            The mean loss before the update, without the penalty.

        Raises:
            BadInput: a loss without Gauss–Newton form: not convex in the outputs, or not of them alone.
            NotFinite: the loss or its gradient is not; the weights are as they were.
        """
        group = self.param_groups[0]
        around = Surroundings(
            self._model,
            batches,
            objective,
            overlapping(len(batches), group["curvature_share"], group["updates"]),
            GaussNewton,
            layers=self._hidden if group["structural_damping"] else (),
            weight_decay=group["weight_decay"],
        )
        found = self._solve(around)
        best, value = _gone_back(found, around)
        group["damping"] *= _change(around.value, value, best)
        rate = _rate(best.x, value, around)
        around.move(rate * best.x)
        self._remember(found[-1].x if rate else torch.zeros_like(best.x))
        group["updates"] += 1
        return sum(around.losses) / len(around.losses)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave, damping and warm start included.

        Raises:
            BadInput: it is another model's, or another optimizer's.
        """
        check_saved(self, state_dict)
        super().load_state_dict(state_dict)

    def _solve(self, around: Surroundings) -> list[Solution]:
        group = self.param_groups[0]
        damping = group["damping"]

        def product(v: Tensor) -> Tensor:
            return around.product(v, hidden=damping * group["structural_damping"]).add_(v, alpha=damping)

        start = [self.state[each].get("solution") for each in group["params"]]
        return conjugate_gradients(
            product,
            -around.gradient,
            start=None if start[0] is None else group["warm_start"] * flat(start),
            preconditioner=(around.squares + damping) ** PRECONDITIONING if group["preconditioned"] else None,
            iterations=group["iterations"],
        )

    def _remember(self, solution: Tensor) -> None:
        parameters = self.param_groups[0]["params"]
        for parameter, part in zip(parameters, parts(solution, parameters), strict=True):
            self.state[parameter]["solution"] = part.clone()


def _gone_back(found: list[Solution], around: Surroundings) -> tuple[Solution, float]:
    """The solution from which on going back no longer lowers the loss, and the loss there."""
    best, value = found[-1], around.value_at(found[-1].x)
    for earlier in reversed(found[:-1]):
        other = around.value_at(earlier.x)
        if other >= value and math.isfinite(value):
            break
        best, value = earlier, other
    return best, value


def _change(before: float, after: float, solution: Solution) -> float:
    """What the damping is multiplied by after a step that was to change the loss by the solution's value."""
    rounding = 100 * torch.finfo(solution.x.dtype).eps * abs(before)
    if abs(solution.value) <= rounding:  # at an optimum, where both changes are noise
        return 1.0
    ratio = (after - before) / solution.value
    return GROW if solution.value > 0 or ratio < 0.25 else SHRINK if ratio > 0.75 else 1.0


def _rate(step: Tensor, value: float, around: Surroundings) -> float:
    """The part of the step to make: the longest of 1, 0.8, 0.8² … that lowers the loss enough (Armijo); 0 for none.

    Args:
        value: of the whole step.
    """
    slope, rate = around.gradient.dot(step).item(), 1.0
    for _ in range(SHORTENINGS if slope < 0 else 0):
        if value <= around.value + SUFFICIENT * rate * slope:
            return rate
        rate *= SHORTER
        value = around.value_at(rate * step)
    return 0.0
