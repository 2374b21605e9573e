"""A small subspace that holds what matters of a large symmetric matrix, and the matrix in it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Subspace(NamedTuple):
    """Orthonormal directions, and a matrix A as they see it, V A Vᵀ.

    Args:
        basis: V, one direction a row.
        matrix: symmetric.
    """

    basis: Float[Tensor, "K N"]
    matrix: Float[Tensor, "K K"]


def krylov(
    product: Callable[[Tensor], Tensor],
    first: Float[Tensor, " N"],
    size: int,
    *,
    also: Float[Tensor, " N"] | None = None,
) -> Subspace:
    """The space of ``first``, A ``first``, A² ``first`` … and ``also``, by Lanczos with full reorthogonalisation.

    Smaller than ``size`` where A leads to nothing new, and empty where ``first`` is zero. Memory: K vectors; time: K
    products.

    Args:
        product: with A, symmetric.
        size: at most so many directions, ``also`` among them; at least 1 without and 2 with it.

    Source: Golub and Van Loan, Matrix Computations, section 10.1.
    """
    basis = first.new_empty(size, len(first))
    matrix = first.new_zeros(size, size)
    found, candidate = 0, first
    for number in range(size):
        last = also is not None and number == size - 1
        direction = None if last else _new_direction(candidate, basis[:found])
        if direction is None and also is not None:
            direction, last = _new_direction(also, basis[:found]), True
        if direction is None:
            break
        basis[found] = direction
        candidate = product(direction)
        column = basis[: found + 1] @ candidate
        matrix[: found + 1, found] = matrix[found, : found + 1] = column
        found += 1
        if last:
            break
    return Subspace(basis[:found], matrix[:found, :found])


def _new_direction(candidate: Tensor, basis: Tensor) -> Tensor | None:
    """The part of the candidate that is at right angles to the basis, of length 1; None where only rounding is left."""
    length = candidate.norm()
    rest = candidate
    for _ in range(2):  # once leaves rounding, of the size of what it took away
        rest = rest - basis.T @ (basis @ rest)
    left = rest.norm()
    return None if left <= length * torch.finfo(length.dtype).eps ** 0.75 else rest / left
