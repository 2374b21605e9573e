"""A network that forecasts what a forecast in closed form leaves over."""

from collections.abc import Sequence
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from recurra.models.forecasting.bases import LastValue, LinearMap, SeasonalNaive
from recurra.models.forecasting.direct import Direct, horizon_loss
from recurra.models.forecasting.distributions import Movable
from recurra.models.forecasting.outputs import BernoulliOutput, NegativeBinomialOutput
from recurra.models.forecasting.windows import Windows, begun, carried

FLATTEST = 1e-2
"""Of the spread of a context, in scaled units: a flat one would else be blown up to noise."""


@final
class MeanLevel(nn.Module):
    """Centre and spread of a context: mean and standard deviation of its observed values.

    Source: reversible instance normalisation, Kim et al. (2022), ICLR, without its learnt scales.
    """

    def forward(
        self, values: Float[Tensor, "B C"], observed: Bool[Tensor, "B C"]
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
        count = observed.sum(1)
        centre = (values * observed).sum(1) / count
        square = ((values - centre.unsqueeze(1)).square() * observed).sum(1) / count
        return centre, square.sqrt().clamp(min=FLATTEST)


@final
class LastLevel(nn.Module):
    """Centre and spread of a context: its last observed value, and 1.

    Source: NLinear, Zeng et al. (2023), arXiv:2205.13504.
    """

    def forward(
        self, values: Float[Tensor, "B C"], observed: Bool[Tensor, "B C"]
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
        centre = carried(values, observed)[:, -1]
        return centre, torch.ones_like(centre)


Level = MeanLevel | LastLevel


class Residual(nn.Module):
    r"""A forecast in closed form and a network's beside it, both of a context brought to a common level.

    .. math:: \hat y = \mu + \sigma \left( f(z) + g(z) \right), \qquad z = (y - \mu) / \sigma

    f is the closed form, g the network, which begins around zero, so that training begins with the closed form.

    Args:
        network: reads the context at its level, and gives distributions of what is left over.
        base: the closed form; steps before a row begins are at its level, 0, and missing values are those before them.
        level: :math:`\mu` and :math:`\sigma`; 0 and 1 where there is none.

    Raises:
        ValueError: an output of counts or of 0 and 1, which cannot be moved.
    """

    def __init__(
        self, network: Direct, base: LastValue | SeasonalNaive | LinearMap, level: Level | None = None
    ) -> None:
        super().__init__()
        if isinstance(network.output, NegativeBinomialOutput | BernoulliOutput):
            raise ValueError(f"{type(network.output).__name__}: counts have no residual; choose another output")
        self.network = network
        self.base = base
        self.level = level

    def forecast(self, windows: Windows) -> Movable:
        """Of every value of the horizon: ``(B, horizon)``."""
        values, centre, spread = self.levelled(windows)
        left_over: Any = self.network.forecast(windows._replace(target=values))
        return left_over.moved(centre.unsqueeze(1) + spread.unsqueeze(1) * self.base(values), spread.unsqueeze(1))

    def levelled(self, windows: Windows) -> tuple[Float[Tensor, "B C"], Float[Tensor, " B"], Float[Tensor, " B"]]:
        """The context as base and network see it, missing values filled; its centre and its spread."""
        steps = windows.context
        target, observed = windows.target[:, :steps], windows.observed[:, :steps]
        centre, spread = self._level(target, observed)
        values = (carried(target, observed) - centre.unsqueeze(1)) / spread.unsqueeze(1)
        return values.masked_fill(~begun(observed), 0.0), centre, spread

    def loss(self, windows: Windows, divisor: float = 1.0) -> Float[Tensor, ""]:
        """The sum of the costs of the observed values of the horizon, over ``divisor``."""
        return horizon_loss(self.forecast(windows), windows, divisor)

    @torch.no_grad()
    def mean(self, windows: Windows) -> Float[Tensor, "B {windows.horizon}"]:
        """Of every step of the horizon."""
        return self.forecast(windows).mean()

    @torch.no_grad()
    def quantiles(
        self, windows: Windows, levels: Sequence[float]
    ) -> Float[Tensor, "B {windows.horizon} {len(levels)}"]:
        """Of every step of the horizon.

        Raises:
            ValueError: the network's output is a point.
        """
        return self.forecast(windows).quantile(torch.tensor(levels))

    def _level(self, target: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        if self.level is None:
            return target.new_zeros(len(target)), target.new_ones(len(target))
        return self.level(target, observed)
