"""Preconditioned conjugate gradients that stop as soon as a quadratic is reduced well enough."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

GROWTH = 1.3
"""Between the numbers of iterations after which a solution is kept."""


class Solution(NamedTuple):
    """Where conjugate gradients stood after some iterations.

    Args:
        x: the place.
        value: of the quadratic there.
        iterations: made so far.
    """

    x: Float[Tensor, " N"]
    value: float
    iterations: int


def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    b: Float[Tensor, " N"],
    *,
    start: Float[Tensor, " N"] | None = None,
    preconditioner: Float[Tensor, " N"] | None = None,
    iterations: int = 250,
    tolerance: float = 5e-4,
) -> list[Solution]:
    r"""Minimise :math:`q(x) = \frac12 x^\top A x - b^\top x`: solutions on the way, the last one last.

    It stops after iteration i once q < 0 has fallen by less than :math:`k\epsilon` of itself over the last
    :math:`k = \max(10, i / 10)` iterations. Solutions are kept after about 1.3, 1.3², 1.3³ … iterations, for
    backtracking: 13 of 50, 20 of 250. Memory: these and four more vectors; time: a product an iteration.

    Args:
        product: with A, symmetric and positive definite; where it turns out not to be, the last solution before counts.
        start: where to begin; zero where it is not given.
        preconditioner: the diagonal of an approximation of A.
        iterations: at most.
        tolerance: :math:`\epsilon`.

    Source: Martens (2010), Deep learning via Hessian-free optimization, sections 4.4, 4.6 and 4.7.
    """
    x = torch.zeros_like(b) if start is None else start.clone()
    residual = b - product(x) if start is not None else b.clone()
    scaled = residual if preconditioner is None else residual / preconditioner
    direction, norm = scaled.clone(), residual.dot(scaled)
    least = norm.item() * torch.finfo(b.dtype).eps ** 2
    found, values, keep = [], [_value(x, residual, b)], GROWTH
    for iteration in range(1, iterations + 1):
        curved = product(direction)
        curvature = direction.dot(curved)
        if norm <= least or curvature <= 0:
            break
        x.add_(direction * (step := norm / curvature))
        residual.sub_(curved * step)
        values.append(_value(x, residual, b))
        if iteration == math.ceil(keep):
            found.append(Solution(x.clone(), values[-1], iteration))
        while math.ceil(keep) <= iteration:
            keep *= GROWTH
        if _little_progress(values, tolerance):
            break
        scaled = residual if preconditioner is None else residual / preconditioner
        before, norm = norm, residual.dot(scaled)
        direction.mul_(norm / before).add_(scaled)
    if not found or found[-1].iterations < len(values) - 1:
        found.append(Solution(x, values[-1], len(values) - 1))
    return found


def _value(x: Tensor, residual: Tensor, b: Tensor) -> float:
    return -0.5 * x.dot(residual + b).item()  # A x = b - residual


def _little_progress(values: list[float], tolerance: float) -> bool:
    iteration = len(values) - 1
    over = max(10, math.ceil(iteration / 10))
    if iteration <= over or values[-1] >= 0:
        return False
    return (values[-1] - values[-1 - over]) / values[-1] < over * tolerance
