"""Quantiles of distributions whose distribution functions have no closed inverse."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from recurra.models.forecasting.incomplete_beta import incomplete_beta

ITERATIONS = 50


def student_t_quantile(df: Float[Tensor, "*#B"], level: Float[Tensor, "*#B"]) -> Float[Tensor, "*B"]:
    """Of Student's t with ``df`` degrees of freedom, at levels within 0 and 1; float64.

    Newton's iteration for the logarithm of the tail in that of t, which is concave in it: after its first step it comes
    from one side, and it is exact at once where the tail is a power.
    """
    df, level = torch.broadcast_tensors(df.double(), level.double())
    tail = torch.minimum(level, 1 - level)
    t = -torch.special.ndtri(tail)
    t = t.clamp(min=torch.finfo(t.dtype).tiny)
    constant = torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - (df * math.pi).log() / 2
    for _ in range(ITERATIONS):
        square = t * t
        beyond = incomplete_beta(df / 2, torch.full_like(df, 0.5), df / (df + square), square / (df + square)) / 2
        density = torch.exp(constant - (df + 1) / 2 * torch.log1p(square / df))
        step = (beyond / tail).log() * beyond / (t * density)
        t = t * step.clamp(max=10).exp()
        if bool((step.abs() < 1e-12).all()):
            break
    return torch.where(tail == 0.5, 0.0, torch.where(level < 0.5, -t, t))


def negative_binomial_quantile(
    mean: Float[Tensor, "*#B"], shape: Float[Tensor, "*#B"], level: Float[Tensor, "*#B"]
) -> Float[Tensor, "*B"]:
    """The smallest count whose distribution function reaches ``level``, below 1; float64.

    Args:
        mean, shape: of :class:`NegativeBinomial`.
    """
    mean, shape, level = torch.broadcast_tensors(mean.double(), shape.double(), level.double())
    share = 1 / (1 + shape * mean)

    def reaches(count: Tensor) -> Tensor:
        return incomplete_beta(1 / shape, count + 1, share, 1 - share) >= level

    high = torch.ones_like(mean)
    while not bool((reached := reaches(high)).all()):
        high = torch.where(reached, high, 2 * high)
    low = torch.full_like(high, -1.0)
    while bool((high - low > 1).any()):
        middle = ((low + high) / 2).floor()
        reached = reaches(middle)
        high, low = torch.where(reached, middle, high), torch.where(reached, low, middle)
    return high
