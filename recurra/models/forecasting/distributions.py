"""What a forecast says of a value: distributions by their parameters, and layers that make these from features.

Every distribution has ``cost(y)``, what training minimises for each value; ``mean()``; ``quantile(levels)``; and
``sample(generator)``, one draw of each. Those whose parameters are places and widths have ``moved(centre, scale)`` too.
Values are in scaled units.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from recurra.models.forecasting.inverses import negative_binomial_quantile, student_t_quantile

Generator = torch.Generator | None

SMALLEST = 1e-4
"""Of a width, and of a mean count: a constant series would else have an infinite density."""


class Normal(NamedTuple):
    """Of mean ``loc`` and standard deviation ``width``."""

    loc: Float[Tensor, "*B"]
    width: Float[Tensor, "*B"]

    def cost(self, y: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """-log p, in nats."""
        return -torch.distributions.Normal(self.loc, self.width, validate_args=False).log_prob(y)

    def mean(self) -> Float[Tensor, "*B"]:
        return self.loc

    def quantile(self, levels: Float[Tensor, " Q"]) -> Float[Tensor, "*B Q"]:
        """At levels within 0 and 1."""
        return self.loc.unsqueeze(-1) + self.width.unsqueeze(-1) * torch.special.ndtri(levels).to(self.loc)

    def sample(self, generator: Generator = None) -> Float[Tensor, "*B"]:
        return self.loc + self.width * torch.empty_like(self.loc).normal_(generator=generator)

    def moved(self, centre: Float[Tensor, "*#B"], scale: Float[Tensor, "*#B"]) -> "Normal":
        """That of ``scale`` times the value, plus ``centre``."""
        return Normal(self.loc * scale + centre, self.width * scale)


class StudentT(NamedTuple):
    """Student's t of ``df`` degrees of freedom, above 2, around ``loc``; its standard deviation is above ``width``."""

    df: Float[Tensor, "*B"]
    loc: Float[Tensor, "*B"]
    width: Float[Tensor, "*B"]

    def cost(self, y: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """-log p, in nats."""
        return -torch.distributions.StudentT(self.df, self.loc, self.width, validate_args=False).log_prob(y)

    def mean(self) -> Float[Tensor, "*B"]:
        return self.loc

    def quantile(self, levels: Float[Tensor, " Q"]) -> Float[Tensor, "*B Q"]:
        """At levels within 0 and 1."""
        standard = student_t_quantile(self.df.unsqueeze(-1), levels.to(self.df.device)).to(self.loc)
        return self.loc.unsqueeze(-1) + self.width.unsqueeze(-1) * standard

    def sample(self, generator: Generator = None) -> Float[Tensor, "*B"]:
        """By the polar method of Bailey (1994), Mathematics of Computation 62(206): two uniform numbers, no gamma."""
        radius = 1 - torch.empty_like(self.loc).uniform_(generator=generator)  # never 0
        angle = torch.empty_like(self.loc).uniform_(0, 2 * math.pi, generator=generator)
        standard = angle.cos() * (self.df * torch.expm1(-2 / self.df * radius.log())).sqrt()
        return self.loc + self.width * standard

    def moved(self, centre: Float[Tensor, "*#B"], scale: Float[Tensor, "*#B"]) -> "StudentT":
        """That of ``scale`` times the value, plus ``centre``."""
        return StudentT(self.df, self.loc * scale + centre, self.width * scale)


class NegativeBinomial(NamedTuple):
    r"""Of counts, which a scaled value is over ``unit``: mean :math:`\mu`, variance :math:`\mu + \alpha \mu^2`.

    Args:
        rate: the mean count.
        shape: alpha.
        unit: counts in a scaled unit; the scale of the series.
    """

    rate: Float[Tensor, "*B"]
    shape: Float[Tensor, "*B"]
    unit: Float[Tensor, "*B"]

    def cost(self, y: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """-log P of the count, in nats."""
        logits = (self.rate * self.shape).log()
        counts = torch.distributions.NegativeBinomial(1 / self.shape, logits=logits, validate_args=False)
        return -counts.log_prob((y * self.unit).round())

    def mean(self) -> Float[Tensor, "*B"]:
        return self.rate / self.unit

    def quantile(self, levels: Float[Tensor, " Q"]) -> Float[Tensor, "*B Q"]:
        """The least value whose distribution function reaches the level, within 0 and 1."""
        rate, shape = self.rate.unsqueeze(-1), self.shape.unsqueeze(-1)
        counts = negative_binomial_quantile(rate, shape, levels.to(rate.device))
        return counts.to(rate.dtype) / self.unit.unsqueeze(-1)

    def sample(self, generator: Generator = None) -> Float[Tensor, "*B"]:
        """A Poisson count whose rate is drawn from a gamma distribution."""
        rate = torch._standard_gamma(1 / self.shape, generator=generator) * self.shape * self.rate
        return torch.poisson(rate, generator=generator) / self.unit


class Bernoulli(NamedTuple):
    """Of 0 and 1, by the logit of the probability of 1."""

    logits: Float[Tensor, "*B"]

    def cost(self, y: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """-log P, in nats."""
        return binary_cross_entropy_with_logits(self.logits, y, reduction="none")

    def mean(self) -> Float[Tensor, "*B"]:
        return self.logits.sigmoid()

    def quantile(self, levels: Float[Tensor, " Q"]) -> Float[Tensor, "*B Q"]:
        """0 up to the probability of 0, 1 above it."""
        return (levels.to(self.logits) > (-self.logits).sigmoid().unsqueeze(-1)).to(self.logits)

    def sample(self, generator: Generator = None) -> Float[Tensor, "*B"]:
        return torch.bernoulli(self.mean(), generator=generator)


class Quantiles(NamedTuple):
    """Values at given levels, never falling; lines between them, exponential tails that go on as steeply.

    Args:
        levels: two at least, growing, within 0 and 1.
        values: at each of them.

    Source: Park et al. (2022), arXiv:2111.06581: incremental quantile functions.
    """

    levels: Float[Tensor, " L"]
    values: Float[Tensor, "*B L"]

    def cost(self, y: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """Twice the mean of the pinball losses, in units of y: the CRPS, as far as the levels are evenly spread."""
        error = y.unsqueeze(-1) - self.values
        return 2 * torch.maximum(self.levels * error, (self.levels - 1) * error).mean(-1)

    def mean(self) -> Float[Tensor, "*B"]:
        """The integral of the quantile function, tails included."""
        q, slope, levels = self.values, self._slopes(), self.levels
        middle = ((q[..., 1:] + q[..., :-1]) / 2 * levels.diff()).sum(-1)
        below, above = levels[0], 1 - levels[-1]
        tails = q[..., 0] * below - slope[..., 0] * below**2 + q[..., -1] * above + slope[..., -1] * above**2
        return middle + tails

    def quantile(self, levels: Float[Tensor, " Q"]) -> Float[Tensor, "*B Q"]:
        """At any levels within 0 and 1."""
        return self._at(levels.to(self.values).expand(*self.values.shape[:-1], -1).contiguous())

    def sample(self, generator: Generator = None) -> Float[Tensor, "*B"]:
        """The quantile at a uniform level."""
        level = torch.empty_like(self.values[..., :1]).uniform_(generator=generator)
        edge = torch.finfo(level.dtype).eps
        return self._at(level.clamp(edge, 1 - edge)).squeeze(-1)

    def moved(self, centre: Float[Tensor, "*#B"], scale: Float[Tensor, "*#B"]) -> "Quantiles":
        """That of ``scale`` times the value, plus ``centre``."""
        return Quantiles(self.levels, self.values * scale.unsqueeze(-1) + centre.unsqueeze(-1))

    def _slopes(self) -> Tensor:
        return self.values.diff(dim=-1) / self.levels.diff()

    def _at(self, level: Tensor) -> Tensor:
        above = torch.bucketize(level, self.levels, right=True)
        left = (above - 1).clamp(0, len(self.levels) - 2)
        first, last = self.levels[0], self.levels[-1]
        slope, start = self._slopes().gather(-1, left), self.values.gather(-1, left)
        inside = start + slope * (level - self.levels[left])
        lower = self.values[..., :1] + slope * first * (level / first).log()
        upper = self.values[..., -1:] - slope * (1 - last) * ((1 - level) / (1 - last)).log()
        return torch.where(above == 0, lower, torch.where(above == len(self.levels), upper, inside))


class Point(NamedTuple):
    """A value by itself, which says nothing of how far off it may be: of quantiles and draws it has none."""

    value: Float[Tensor, "*B"]

    def cost(self, y: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
        """The squared error."""
        return (y - self.value) ** 2

    def mean(self) -> Float[Tensor, "*B"]:
        return self.value

    def quantile(self, levels: Float[Tensor, " Q"]) -> Float[Tensor, "*B Q"]:
        """Raises ValueError."""
        raise ValueError("a point forecast has no quantiles; choose an output that is a distribution")

    def sample(self, generator: Generator = None) -> Float[Tensor, "*B"]:
        """Raises ValueError."""
        raise ValueError("a point forecast cannot be drawn from; choose an output that is a distribution")

    def moved(self, centre: Float[Tensor, "*#B"], scale: Float[Tensor, "*#B"]) -> "Point":
        """``scale`` times the value, plus ``centre``."""
        return Point(self.value * scale + centre)


Movable = Normal | StudentT | Quantiles | Point
Distribution = Movable | NegativeBinomial | Bernoulli


def positive(numbers: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """A number above ``SMALLEST``; 1 for 0."""
    return softplus(numbers) / math.log(2) * (1 - SMALLEST) + SMALLEST
