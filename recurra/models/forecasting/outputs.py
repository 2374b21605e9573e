"""Layers that turn features into the parameters of a distribution.

All of them begin with weights of zero, so with a distribution in the middle of the scaled values, as wide as their
spread, whatever the features are. Besides the features they are given the scale of each row, which counts need.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.models.forecasting.distributions import (
    Bernoulli,
    NegativeBinomial,
    Normal,
    Point,
    Quantiles,
    StudentT,
    positive,
)


@final
class NormalOutput(nn.Module):
    """As DeepAR's (Salinas et al. 2017, arXiv:1704.04110, section 3.1).

    Args:
        features: F.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = parameters(features, 2)

    def forward(self, features: Float[Tensor, "B *T F"], scale: Float[Tensor, " B"]) -> Normal:
        loc, width = apart(self.linear, features)
        return Normal(loc, positive(width))


@final
class StudentTOutput(nn.Module):
    """More than two degrees of freedom, so that there is a variance.

    Args:
        features: F.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = parameters(features, 3)

    def forward(self, features: Float[Tensor, "B *T F"], scale: Float[Tensor, " B"]) -> StudentT:
        df, loc, width = apart(self.linear, features)
        return StudentT(2 + positive(df), loc, positive(width))


@final
class NegativeBinomialOutput(nn.Module):
    r"""Counts: :math:`\mu = \nu \, \mathrm{softplus}(o_\mu)`, :math:`\alpha = \mathrm{softplus}(o_\alpha) / \sqrt\nu`.

    Args:
        features: F.

    Source: Salinas et al. (2017), arXiv:1704.04110, sections 3.1 and 3.3, where nu is the scale of a series.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = parameters(features, 2)

    def forward(self, features: Float[Tensor, "B *T F"], scale: Float[Tensor, " B"]) -> NegativeBinomial:
        rate, shape = apart(self.linear, features)
        unit = scale.view(-1, *[1] * (rate.dim() - 1)).expand(rate.shape)
        return NegativeBinomial(unit * positive(rate), positive(shape) / unit.sqrt(), unit)


@final
class BernoulliOutput(nn.Module):
    """Values of 0 and 1.

    Args:
        features: F.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = parameters(features, 1)

    def forward(self, features: Float[Tensor, "B *T F"], scale: Float[Tensor, " B"]) -> Bernoulli:
        (logits,) = apart(self.linear, features)
        return Bernoulli(logits)


@final
class QuantileOutput(nn.Module):
    """Quantiles that cannot cross: the first is free, each other is above the one before.

    Args:
        features: F.
        levels: two at least, growing, within 0 and 1.

    Source: Wen et al. (2017), arXiv:1711.11053, minimise these losses; Park et al. (2022), arXiv:2111.06581, by
    increments. They begin as those of a standard normal distribution.

    Raises:
        ValueError: other levels.
    """

    levels: Tensor
    start: Tensor

    def __init__(self, features: int, levels: Sequence[float]) -> None:
        super().__init__()
        if len(levels) < 2 or any(a >= b for a, b in pairwise([0.0, *levels, 1.0])):
            raise ValueError(f"levels must be two or more growing numbers within 0 and 1, got {list(levels)}")
        self.linear = parameters(features, len(levels))
        self.register_buffer("levels", torch.tensor(levels))
        self.register_buffer("start", torch.special.ndtri(torch.tensor(levels)))

    def forward(self, features: Float[Tensor, "B *T F"], scale: Float[Tensor, " B"]) -> Quantiles:
        shift, *above = apart(self.linear, features)
        steps = [positive(each) * gap for each, gap in zip(above, self.start.diff(), strict=True)]
        values = torch.stack([shift + self.start[0], *steps], dim=-1).cumsum(-1)
        return Quantiles(self.levels.to(values.dtype), values)


@final
class PointOutput(nn.Module):
    """The value that squared errors are least for.

    Args:
        features: F.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = parameters(features, 1)

    def forward(self, features: Float[Tensor, "B *T F"], scale: Float[Tensor, " B"]) -> Point:
        (value,) = apart(self.linear, features)
        return Point(value)


Output = NormalOutput | StudentTOutput | NegativeBinomialOutput | BernoulliOutput | QuantileOutput | PointOutput


def parameters(features: int, count: int) -> nn.Linear:
    """A linear layer that begins at zero."""
    linear = nn.Linear(features, count)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def apart(linear: nn.Linear, features: Float[Tensor, "*B F"]) -> tuple[Float[Tensor, "*B"], ...]:
    """Its outputs one by one, float32 at least: a width in fewer bits is no width."""
    numbers = linear(features)
    return numbers.to(torch.promote_types(numbers.dtype, torch.float32)).unbind(-1)
