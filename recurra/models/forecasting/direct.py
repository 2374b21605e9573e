"""A network that forecasts all steps of the horizon at once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from recurra.models.forecasting.distributions import Distribution
from recurra.models.forecasting.outputs import Output
from recurra.models.forecasting.series_features import SeriesFeatures
from recurra.models.forecasting.windows import Windows, begun, carried, starts, total_cost
from recurra.recurrence.state import State


class DirectState(NamedTuple):
    """Where a series stands; every tensor has the batch first.

    Args:
        layers: of the recurrent layers.
        hidden: their last outputs.
        value: the last that was observed.
        known: covariates of the horizon.
        series: the features of the series.
        scale: of its values.
    """

    layers: State
    hidden: Float[Tensor, "B H"]
    value: Float[Tensor, " B"]
    known: Float[Tensor, "B U K"]
    series: Float[Tensor, "B F"]
    scale: Float[Tensor, " B"]


class HorizonFeatures(nn.Module):
    r"""What an encoder found, with the covariates of the horizon, as features of each of its steps.

    .. math:: (c_1, \dots, c_U, c_a) = \max(0, W_g [h, x_1, \dots, x_U] + b_g), \qquad
        \max(0, W_l [c_k, c_a, x_k, h] + b_l)

    Args:
        size: features of h.
        known: K, features of each x.
        horizon: U, steps.
        context_size: features of each c.
        output_size: of a step.

    Source: Wen et al. (2017), arXiv:1711.11053, section 3: the global and the local network; h beside their inputs.
    """

    def __init__(self, size: int, known: int, horizon: int, *, context_size: int, output_size: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.everywhere = nn.Linear(size + horizon * known, (horizon + 1) * context_size)
        self.there = nn.Linear(2 * context_size + known + size, output_size)

    def forward(self, hidden: Float[Tensor, "B H"], known: Float[Tensor, "B U K"]) -> Float[Tensor, "B U O"]:
        """Of every step."""
        contexts = (
            self.everywhere(torch.cat([hidden, known.flatten(1)], dim=1)).relu().unflatten(1, (self.horizon + 1, -1))
        )
        own, shared = contexts[:, :-1], contexts[:, -1:].expand(-1, self.horizon, -1)
        beside = hidden.unsqueeze(1).expand(-1, self.horizon, -1)
        return self.there(torch.cat([own, shared, known, beside], dim=2)).relu()


class Direct(nn.Module):
    """An encoder of the context, and a distribution for each step of the horizon from where it stands at its end.

    The encoder reads the values, the covariates of their steps and the features of the series. In the place of a
    missing value it reads the last one before it, and a mark, behind a gate that begins shut: a network that has not
    seen a gap in training is not disturbed by one later.

    Args:
        series: the features of each series.
        layers: what reads ``input_size(...)`` features; may be bidirectional.
        steps: from the layers' outputs and the covariates to features of each step of the horizon.
        output: of these.
        patch: steps that are read at once, so that a day or a week is one step of the layers; the oldest steps that
            fill no patch are not read.
        backward: of the layers' outputs, how many at the end come from layers that read from the end.
        dropout: of what ``steps`` reads and ``output`` reads.

    Source: Wen et al. (2017), arXiv:1711.11053; patches, Lin et al. (2023), arXiv:2308.11200.
    """

    def __init__(
        self,
        series: SeriesFeatures,
        layers: nn.Module,
        steps: HorizonFeatures,
        output: Output,
        *,
        patch: int = 1,
        backward: int = 0,
        dropout: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.series = series
        self.layers = layers
        self.steps = steps
        self.output = output
        self.patch = patch
        self.backward = backward
        self.dropout = dropout if dropout is not None else nn.Identity()
        self.gate = nn.Parameter(torch.zeros(()))

    @staticmethod
    def input_size(known: int, past: int, series: SeriesFeatures, patch: int = 1) -> int:
        """Features that the layers read: value, mark, K ``known`` ahead and P ``past`` of each step, the series'."""
        return patch * (2 + known + past) + series.size

    def forecast(self, windows: Windows) -> Distribution:
        """Of every value of the horizon: ``(B, horizon)``.

        Raises:
            ValueError: a row without an observed value, or a context shorter than a patch.
        """
        hidden, *_ = self._encode(windows)
        return self._ahead(hidden, windows.known[:, windows.context :], windows.scale)

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
            ValueError: the output is a point.
        """
        return self.forecast(windows).quantile(torch.tensor(levels))

    @torch.no_grad()
    def begin(self, windows: Windows) -> DirectState:
        """The state after the context, from which nothing of it has to be read again.

        Raises:
            ValueError: a layer is bidirectional, or reads several steps at once.
        """
        if self.patch > 1:
            raise ValueError(
                f"a network that reads {self.patch} steps at once cannot read them one by one; use patch=1"
            )
        hidden, layers, series, values = self._encode(windows, self._start(windows))
        return DirectState(layers, hidden, values[:, -1], windows.known[:, windows.context :], series, windows.scale)

    def distribution(self, state: DirectState) -> Distribution:
        """Of the values of the horizon."""
        return self._ahead(state.hidden, state.known, state.scale)

    @torch.no_grad()
    def step(
        self,
        value: Float[Tensor, " B"],
        known: Float[Tensor, "B U K"],
        state: DirectState,
        past: Float[Tensor, "B P"] | None = None,
    ) -> tuple[Distribution, DirectState]:
        """The next value has come: the distribution of those of the horizon after it.

        Args:
            value: scaled; not a number where it is missing.
            known: covariates of the horizon after it.
            past: its own covariates of the past, where the network reads any.
        """
        missing = value.isnan()
        value = torch.where(missing, state.value, value)
        mark = self.gate * missing.to(value.dtype)
        parts = [value.unsqueeze(1), mark.unsqueeze(1), state.known[:, 0], *([] if past is None else [past])]
        layers: Any = self.layers
        hidden, after = layers.step(torch.cat([*parts, state.series], dim=1), state.layers)
        state = state._replace(layers=after, hidden=hidden, value=value, known=known)
        return self.distribution(state), state

    def _start(self, windows: Windows) -> State:
        layers: Any = self.layers
        return layers.initial_state(len(windows.target))

    def _encode(self, windows: Windows, start: State = None) -> tuple[Tensor, State, Tensor, Tensor]:
        """What the layers found, where they stand, the features of the series, and the values as they were read."""
        steps = windows.context
        if steps < self.patch:
            raise ValueError(f"a network that reads {self.patch} steps at once needs as long a context, got {steps}")
        observed = windows.observed[:, :steps]
        within, series = begun(observed), self.series(windows)
        values = carried(windows.target[:, :steps], observed)
        mark = self.gate * (within & ~observed).to(values.dtype)
        parts = [values.unsqueeze(2), mark.unsqueeze(2), windows.known[:, :steps], windows.past]
        x = self._patches(torch.cat(parts, dim=2).masked_fill(~within.unsqueeze(2), 0.0)).flatten(2)
        within = self._patches(within).any(2)
        x = torch.cat([x, series.unsqueeze(1).expand(-1, x.shape[1], -1)], dim=2)
        outputs, state = self.layers(x, start, reset=starts(within))
        return self._pooled(outputs, within), state, series, values

    def _patches(self, x: Shaped[Tensor, "B C *F"]) -> Shaped[Tensor, "B N {self.patch} *F"]:
        return x[:, x.shape[1] % self.patch :].unflatten(1, (-1, self.patch))

    def _pooled(self, outputs: Float[Tensor, "B C H"], within: Bool[Tensor, "B C"]) -> Float[Tensor, "B H"]:
        """Where each direction stands at its end."""
        ahead = outputs.shape[2] - self.backward
        first = within.to(torch.int8).argmax(1)
        rows = torch.arange(len(outputs), device=outputs.device)
        return torch.cat([outputs[:, -1, :ahead], outputs[rows, first, ahead:]], dim=1)

    def _ahead(self, hidden: Tensor, known: Tensor, scale: Tensor) -> Distribution:
        features = self.steps(self.dropout(hidden.unsqueeze(1)).squeeze(1), known)
        return self.output(self.dropout(features), scale)


def horizon_loss(forecast: Distribution, windows: Windows, divisor: float) -> Float[Tensor, ""]:
    """The sum of the costs of the observed values of the horizon, over ``divisor``."""
    steps = windows.context
    return total_cost(forecast.cost(windows.target[:, steps:]), windows.observed[:, steps:], divisor)
