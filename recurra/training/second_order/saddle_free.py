"""Saddle-free Newton: steps that a direction of negative curvature repels as strongly as a positive one attracts."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn, optim

from recurra.training.second_order.curvature import Hessian
from recurra.training.second_order.krylov import krylov
from recurra.training.second_order.passes import B, Objective, trainable
from recurra.training.second_order.saved import check_saved, shapes
from recurra.training.second_order.surroundings import Surroundings, overlapping
from recurra.training.second_order.vectors import flat, parts

DAMPINGS = [10.0**exponent for exponent in range(-6, 3)]
"""Of the largest curvature."""


class SaddleFreeNewton(optim.Optimizer):
    r"""Steps :math:`-(|H| + \lambda I)^{-1} \nabla f` in a Krylov subspace; for any smooth loss.

    ::

        def objective(batch):
            x, y = batch
            return model(x), lambda outputs: nn.functional.mse_loss(outputs, y)

        optimizer = SaddleFreeNewton(model, first=torch.optim.SGD(model.parameters(), lr=0.1))
        for batches in updates:  # each a list of batches, often of one
            loss = optimizer.step(batches, objective)

    |H| has the Hessian's eigenvectors and the magnitudes of its eigenvalues. Both are found in the space that the
    gradient, H times it, H² times it … and the last step span. The damping λ is, of the powers of ten from 10⁻⁶ to 100
    times the largest magnitude, the one after whose step the loss is lowest; then the gradient is taken again and a
    further step made with the same |H|, as often as ``inner`` says and the loss falls. A step that lowers it at no
    damping is not made. Where the gradient is exactly zero, there is no step.

    With ``first`` this is the hybrid: that optimizer takes the steps until its progress has stalled, then there are
    ``escape`` saddle-free ones, then it goes on.

    Memory: as many vectors of the model's size as the subspace has directions, and some 8 more, and for each batch
    whose curvature is taken about what three backward passes need. Time of a saddle-free step: a gradient of each
    batch, for every direction a product, about two gradients, of those whose curvature is taken, and for each inner
    step 9 losses and a gradient of each batch.

    Args:
        model: its trainable parameters are learnt, all of one type and on one device.
        first: the gradient method of the hybrid, over the same parameters.
        clip_norm: the largest 2-norm of the gradients that it is given.
        patience: updates by ``first`` over which progress is measured: it has stalled where their mean loss is not
            lower than that of as many before them by ``progress``.
        progress: as a part of that loss.
        escape: saddle-free steps until ``first`` goes on.
        subspace: directions, at most.
        inner: steps by the same |H|.
        weight_decay: L2 penalty, part of the loss that saddle-free steps lower; what ``first`` does is its own.
        curvature_share: as of :class:`HessianFree`.

    Source: Dauphin, Pascanu, Gulcehre, Cho, Ganguli and Bengio (2014), arXiv:1406.2572, algorithm 1 and section 7.

    Raises:
        ValueError: an argument out of range, or nothing to learn.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        first: optim.Optimizer | None = None,
        clip_norm: float | None = None,
        patience: int = 20,
        progress: float = 0.01,
        escape: int = 10,
        subspace: int = 30,
        inner: int = 3,
        weight_decay: float = 0.0,
        curvature_share: float = 1.0,
    ) -> None:
        if not (subspace >= 2 and inner >= 1 and escape >= 1 and patience >= 1 and 0 < curvature_share <= 1):
            raise ValueError("subspace must be at least 2, counts at least 1, curvature_share above 0 and at most 1")
        parameters = list(trainable(model).values())
        super().__init__(
            parameters,
            {
                "clip_norm": clip_norm,
                "patience": patience,
                "progress": progress,
                "escape": escape,
                "subspace": subspace,
                "inner": inner,
                "weight_decay": weight_decay,
                "curvature_share": curvature_share,
                "updates": 0,
                "left": 0,
                "losses": [],
                "shapes": shapes(parameters),
            },
        )
        self._model, self.first = model, first

    @property
    def escaping(self) -> bool:
        """Whether the next step is a saddle-free one."""
        return self.first is None or self.param_groups[0]["left"] > 0

    def step(self, batches: Sequence[B], objective: Objective[B]) -> float:  # type: ignore[override]
        """One update: a saddle-free one, or one by ``first``.

        Args:
            batches: at least one; the loss is the mean of theirs.
            objective: of a batch, the model's outputs and a function from such outputs to the scalar loss, which has
                second derivatives.

        Returns:
            The mean loss before the update, without the penalty.

        Raises:
            NotFinite: the loss or its gradient is not; the weights are as they were.
        """
        group = self.param_groups[0]
        if self.escaping:
            losses = self._escape(batches, objective)
            group["left"] = max(0, group["left"] - 1)
        else:
            losses = self._follow(batches, objective)
            group["losses"] = [*group["losses"], sum(losses) / len(losses)][-2 * group["patience"] :]
            if _stalled(group["losses"], group["patience"], group["progress"]):
                group["left"], group["losses"] = group["escape"], []
        group["updates"] += 1
        return sum(losses) / len(losses)

    def state_dict(self) -> dict[str, Any]:
        """As of any optimizer, with the state of ``first``."""
        own = super().state_dict()
        return own if self.first is None else {**own, "first": self.first.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave.

        Raises:
            BadInput: it is another model's, or another optimizer's.
        """
        check_saved(self, state_dict)
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        if self.first is not None and "first" in state_dict:
            self.first.load_state_dict(state_dict["first"])

    def _follow(self, batches: Sequence[B], objective: Objective[B]) -> list[float]:
        assert self.first is not None
        group = self.param_groups[0]
        around = Surroundings(self._model, batches, objective)
        for parameter, part in zip(around.parameters, parts(around.gradient, around.parameters), strict=True):
            parameter.grad = part.clone()
        if group["clip_norm"] is not None:
            nn.utils.clip_grad_norm_(around.parameters, group["clip_norm"])
        self.first.step()
        self.first.zero_grad()
        return around.losses

    def _escape(self, batches: Sequence[B], objective: Objective[B]) -> list[float]:
        group = self.param_groups[0]
        curved = overlapping(len(batches), group["curvature_share"], group["updates"])
        around = Surroundings(self._model, batches, objective, curved, Hessian, weight_decay=group["weight_decay"])
        before = [self.state[each].get("step") for each in group["params"]]
        also = None if before[0] is None else flat(before)
        basis, matrix = krylov(around.product, around.gradient, group["subspace"], also=also)
        step = torch.zeros_like(around.gradient)
        if len(basis):
            magnitudes, directions = _magnitudes(matrix, basis)
            step = _lowered(around, magnitudes, directions, group["inner"])
        around.move(step)
        for parameter, part in zip(around.parameters, parts(step, around.parameters), strict=True):
            self.state[parameter]["step"] = part.clone()
        return around.losses


def _magnitudes(matrix: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """|eigenvalues| ``(K,)`` of the matrix in the subspace, and its eigenvectors in the whole space, ``(K, N)``."""
    values, vectors = torch.linalg.eigh(matrix)
    return values.abs(), vectors.T @ basis


def _lowered(around: Surroundings, magnitudes: Tensor, directions: Tensor, inner: int) -> Tensor:
    """The sum of the inner steps."""
    scale = magnitudes.max() if magnitudes.max() > 0 else magnitudes.new_ones(())
    offset, value, gradient = torch.zeros_like(around.gradient), around.value, around.gradient
    for number in range(inner):
        if number:
            gradient = around.gradient_at(offset)
        along = directions @ gradient
        tried = [offset - directions.T @ (along / (magnitudes + damping * scale)) for damping in DAMPINGS]
        values = [around.value_at(each) for each in tried]
        lowest = min(values)
        if not lowest < value:
            break
        offset, value = tried[values.index(lowest)], lowest
    return offset


def _stalled(losses: list[float], patience: int, progress: float) -> bool:
    if len(losses) < 2 * patience:
        return False
    before, of_late = sum(losses[:patience]), sum(losses[patience:])
    return of_late > before - progress * abs(before)
