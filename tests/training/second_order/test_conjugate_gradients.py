"""Conjugate gradients beside a dense solver."""

import math

import pytest
import torch
from torch import Tensor

from recurra.training.second_order.conjugate_gradients import conjugate_gradients


def system(size: int, condition: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    q, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    spread = torch.logspace(0, math.log10(condition), size, dtype=torch.float64)
    return q @ torch.diag(spread) @ q.T, torch.randn(size, generator=generator, dtype=torch.float64)


def quadratic(a: Tensor, b: Tensor, x: Tensor) -> float:
    return (0.5 * x @ a @ x - b @ x).item()


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("started", [False, True])
def test_solves_as_a_dense_solver_does(started: bool, preconditioned: bool) -> None:
    a, b = system(12, 50)
    found = conjugate_gradients(
        lambda v: a @ v,
        b,
        start=torch.ones_like(b) if started else None,
        preconditioner=a.diag() if preconditioned else None,
        iterations=40,
        tolerance=0.0,
    )
    torch.testing.assert_close(found[-1].x, torch.linalg.solve(a, b), rtol=1e-9, atol=1e-10)
    for solution in found:
        assert solution.value == pytest.approx(quadratic(a, b, solution.x), rel=1e-9)
    assert found[-1].iterations <= 20


def test_the_right_preconditioner_needs_one_iteration() -> None:
    a = torch.diag(torch.logspace(0, 4, 30, dtype=torch.float64))
    b = torch.ones(30, dtype=torch.float64)
    (found,) = conjugate_gradients(lambda v: a @ v, b, preconditioner=a.diag(), iterations=1)
    torch.testing.assert_close(found.x, torch.linalg.solve(a, b), rtol=1e-12, atol=0)


def test_it_stops_where_little_is_left_to_gain() -> None:
    """Recomputed from the values after every iteration: the first i with a relative gain below k ε."""
    a, b = system(400, 1e4)
    values = [0.0]
    for iterations in range(1, 120):
        values.append(conjugate_gradients(lambda v: a @ v, b, iterations=iterations, tolerance=0.0)[-1].value)
    expected = next(
        i
        for i in range(1, 120)
        if i > (k := max(10, math.ceil(i / 10))) and (values[i] - values[i - k]) / values[i] < k * 5e-4
    )
    found = conjugate_gradients(lambda v: a @ v, b, iterations=400)
    assert found[-1].iterations == expected and found[-1].value == pytest.approx(values[expected], rel=1e-12)


def test_solutions_are_kept_at_growing_distances() -> None:
    a, b = system(300, 1e6)
    found = conjugate_gradients(lambda v: a @ v, b, iterations=50, tolerance=0.0)
    assert [each.iterations for each in found] == [2, 3, 4, 5, 7, 9, 11, 14, 18, 24, 31, 40, 50]
    values = [each.value for each in found]
    assert values == sorted(values, reverse=True)


def test_a_direction_without_curvature_ends_it() -> None:
    a, b = torch.diag(torch.tensor([1.0, -1.0])), torch.tensor([1.0, 1.0])
    (found,) = conjugate_gradients(lambda v: a @ v, b)
    assert found.iterations == 0 and torch.equal(found.x, torch.zeros(2))


def test_nothing_to_solve() -> None:
    (found,) = conjugate_gradients(lambda v: v, torch.zeros(3))
    assert found.iterations == 0 and torch.equal(found.x, torch.zeros(3)) and found.value == 0
