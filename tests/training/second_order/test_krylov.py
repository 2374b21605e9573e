"""Krylov subspaces beside dense eigenvalues."""

import torch
from torch import Tensor

from recurra.training.second_order.krylov import krylov


def symmetric(values: list[float], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = len(values)
    q, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    return q @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ q.T


def test_the_whole_space_has_the_matrix_eigenvalues() -> None:
    a = symmetric([5.0, -3.0, 1.0, 0.5, -0.1, 1e-3])
    first = torch.ones(6, dtype=torch.float64)
    basis, matrix = krylov(lambda v: a @ v, first, 10)
    torch.testing.assert_close(basis @ basis.T, torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-14)
    torch.testing.assert_close(basis @ a @ basis.T, matrix, rtol=0, atol=1e-13)
    torch.testing.assert_close(torch.linalg.eigvalsh(matrix), torch.linalg.eigvalsh(a), rtol=1e-10, atol=1e-13)


def test_a_part_of_the_space_finds_the_extremes_and_holds_what_was_asked_for() -> None:
    a = symmetric([50.0, -40.0, *torch.linspace(-1, 1, 98).tolist()])
    generator = torch.Generator().manual_seed(1)
    first, also = torch.randn(2, 100, generator=generator, dtype=torch.float64)
    basis, matrix = krylov(lambda v: a @ v, first, 12, also=also)
    assert basis.shape == (12, 100) and matrix.shape == (12, 12)
    torch.testing.assert_close(basis @ a @ basis.T, matrix, rtol=0, atol=1e-12)
    for held in (first, also):
        torch.testing.assert_close(basis.T @ (basis @ held), held, rtol=0, atol=1e-12)
    found = torch.linalg.eigvalsh(matrix)
    torch.testing.assert_close(found[[0, -1]], torch.tensor([-40.0, 50.0], dtype=found.dtype), rtol=1e-9, atol=0)


def test_directions_stay_at_right_angles_over_thirteen_orders_of_magnitude() -> None:
    a = symmetric(torch.logspace(-10, 3, 80, dtype=torch.float64).tolist())
    basis, _ = krylov(lambda v: a @ v, torch.ones(80, dtype=torch.float64), 40)
    torch.testing.assert_close(basis @ basis.T, torch.eye(40, dtype=torch.float64), rtol=0, atol=1e-13)


def test_it_ends_where_nothing_new_is_found() -> None:
    a = symmetric([2.0, -1.0, 0.0, 0.0, 0.0])
    first = torch.ones(5, dtype=torch.float64)
    assert len(krylov(lambda v: a @ v, first, 5).basis) == 3  # two eigenvectors and what lies in the null space
    assert len(krylov(lambda v: a @ v, torch.linalg.eigh(a)[1][:, 0], 5, also=first).basis) == 2
    assert len(krylov(lambda v: a @ v, torch.zeros(5, dtype=torch.float64), 5).basis) == 0
