"""The regularised incomplete beta function: distribution functions of Student's t and of counts. PyTorch has none."""

import torch
from jaxtyping import Float
from torch import Tensor

TERMS = 10_000
TINY = 1e-300


def incomplete_beta(
    a: Float[Tensor, "*B"], b: Float[Tensor, "*B"], x: Float[Tensor, "*B"], rest: Float[Tensor, "*B"]
) -> Float[Tensor, "*B"]:
    r"""In float64, without a gradient:

    .. math:: I_x(a, b) = \frac{1}{B(a, b)} \int_0^x t^{a-1} (1 - t)^{b-1} \, dt

    By a continued fraction of some :math:`\sqrt{\max(a, b)}` terms, in the half where it converges.

    Args:
        a, b: above 0.
        x: 0 to 1.
        rest: 1 - x, which the caller may know to more digits.

    Source: DiDonato and Morris (1992), ACM TOMS 18(3), Algorithm 708, section 2; Press et al., Numerical Recipes, 6.4.
    """
    with torch.no_grad():
        a, b, x, rest = torch.broadcast_tensors(*(each.double() for each in (a, b, x, rest)))
        beyond = x > (a + 1) / (a + b + 2)
        a, b = torch.where(beyond, b, a), torch.where(beyond, a, b)
        x, rest = torch.where(beyond, rest, x), torch.where(beyond, x, rest)
        beta = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
        factor = torch.exp(torch.xlogy(a, x) + torch.xlogy(b, rest) - beta) / a
        found = factor * _fraction(a, b, x)
        return torch.where(beyond, 1 - found, found)


def _fraction(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """By the method of Lentz, as Thompson and Barnett modified it."""
    c = torch.ones_like(x)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            found = found * c * d
        if bool(((c * d - 1).abs() < 1e-12).all()):
            break
    return found


def _away_from_zero(values: Tensor) -> Tensor:
    return torch.where(values.abs() < TINY, TINY, values)
