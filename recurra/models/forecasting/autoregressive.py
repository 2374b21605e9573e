"""A network that forecasts a series one value after another, each from those before."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from recurra.layers import Stack
from recurra.models.forecasting.distributions import Distribution, Generator
from recurra.models.forecasting.outputs import Output
from recurra.models.forecasting.series_features import SeriesFeatures
from recurra.models.forecasting.windows import Windows, begun, starts, total_cost
from recurra.recurrence.state import State, select

ROWS = 2048
"""Sample paths that are stepped side by side: as many as keep all cores busy and their numbers in the caches."""


class AutoregressiveState(NamedTuple):
    """Where a series stands; every tensor has the batch first.

    Args:
        layers: of the recurrent layers.
        hidden: their last outputs, which speak of the next value.
        values: the last values, the newest last; as many as the longest lag.
        within: which of them are of the series, and not from before it begins.
        series: the features of the series.
        scale: of its values.
    """

    layers: State
    hidden: Float[Tensor, "B H"]
    values: Float[Tensor, "B L"]
    within: Bool[Tensor, "B L"]
    series: Float[Tensor, "B F"]
    scale: Float[Tensor, " B"]


class Autoregressive(nn.Module):
    r"""A distribution of each value, by recurrent layers that have read all values before it.

    .. math:: h_t = \mathrm{layers}(h_{t-1}, [z_{t-1}, z_{t-l_2}, \dots, x_t]), \qquad z_t \sim p(z \mid \theta(h_t))

    z are scaled values, l further lags, x the covariates known ahead and the features of the series; covariates of the
    past only are not read, as their future would have to be forecast as well. Beside each lagged value stands whether
    it is one of the series, or from before its first. A missing value is replaced by the mean that the network itself
    expects there, through which no gradient flows.

    Args:
        series: the features of each series.
        layers: what reads ``input_size(...)`` features.
        output: of the last layer's outputs.
        lags: of the values that are read at every step, growing from 1.
        dropout: of the last layer's outputs.

    Source: Salinas, Flunkert and Gasthaus (2017), arXiv:1704.04110.

    Raises:
        ValueError: other lags.
    """

    def __init__(
        self,
        series: SeriesFeatures,
        layers: Stack,
        output: Output,
        *,
        lags: Sequence[int] = (1,),
        dropout: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not lags or lags[0] != 1 or any(a >= b for a, b in pairwise(lags)):
            raise ValueError(f"lags must grow from 1, got {list(lags)}")
        self.series = series
        self.layers = layers
        self.output = output
        self.lags = tuple(lags)
        self.dropout = dropout if dropout is not None else nn.Identity()

    @staticmethod
    def input_size(known: int, series: SeriesFeatures, lags: Sequence[int] = (1,)) -> int:
        """Features that the layers read: K ``known`` ahead, those of the series, and two for each lag."""
        return known + series.size + 2 * len(lags)

    def loss(self, windows: Windows, divisor: float = 1.0) -> Float[Tensor, ""]:
        """The sum of the costs of all observed values, those of the context included, over ``divisor``."""
        within = begun(windows.observed)
        series = self.series(windows)
        target = windows.target.masked_fill(~within, 0.0)
        if (within & ~windows.observed).any():
            with torch.no_grad():
                target, _ = self._read(windows, series, within)
        outputs, _ = self._outputs(target, within, windows.known, series, 0, target.shape[1], None)
        return total_cost(self.output(outputs, windows.scale).cost(target), windows.observed, divisor)

    @torch.no_grad()
    def begin(self, windows: Windows) -> AutoregressiveState:
        """The state after the context, from which nothing of it has to be read again."""
        steps = windows.context
        context = windows._replace(target=windows.target[:, :steps], observed=windows.observed[:, :steps])
        within, series = begun(context.observed), self.series(windows)
        target, layers = self._read(context, series, within)
        values, inside = _last(target, self.lags[-1]), _last(within, self.lags[-1])
        return self._ahead(layers, values, inside, windows.known[:, steps], series, windows.scale)

    def distribution(self, state: AutoregressiveState) -> Distribution:
        """Of the next value of each row."""
        return self.output(state.hidden, state.scale)

    @torch.no_grad()
    def step(
        self, value: Float[Tensor, " B"], known: Float[Tensor, "B K"], state: AutoregressiveState
    ) -> tuple[Distribution, AutoregressiveState]:
        """The value that the state expected has come: the distribution of the one after it.

        Args:
            value: scaled; not a number where it is missing.
            known: covariates of the step after it.
        """
        value = torch.where(value.isnan(), self.distribution(state).mean(), value)
        state = self._with(value, known, state)
        return self.distribution(state), state

    @torch.no_grad()
    def paths(
        self, state: AutoregressiveState, known: Float[Tensor, "B R K"], count: int, generator: Generator = None
    ) -> Float[Tensor, "B N U"]:
        """Futures of each row, each drawn value by value: U is R + 1 steps, N ``count``.

        Args:
            known: covariates of the steps after the next one.
        """
        rows = torch.arange(len(known), device=known.device).repeat_interleave(count)
        found = [self._paths(select(state, some), known[some], generator) for some in rows.split(ROWS)]
        return torch.cat(found).unflatten(0, (-1, count))

    def sample(
        self, windows: Windows, horizon: int, paths: int, generator: Generator = None
    ) -> Float[Tensor, "B {paths} {horizon}"]:
        """Paths of each row over the first ``horizon`` steps after its context.

        Raises:
            ValueError: fewer steps are known ahead.
        """
        first = windows.context + 1
        if not 1 <= horizon <= windows.horizon:
            raise ValueError(f"the covariates are known for {windows.horizon} steps, too few for {horizon}")
        return self.paths(self.begin(windows), windows.known[:, first : first + horizon - 1], paths, generator)

    def mean(
        self, windows: Windows, *, paths: int = 200, generator: Generator = None
    ) -> Float[Tensor, "B {windows.horizon}"]:
        """Of sample paths, at every step of the horizon."""
        return self.sample(windows, windows.horizon, paths, generator).mean(1)

    def quantiles(
        self, windows: Windows, levels: Sequence[float], *, paths: int = 200, generator: Generator = None
    ) -> Float[Tensor, "B {windows.horizon} {len(levels)}"]:
        """Of sample paths, at every step of the horizon."""
        drawn = self.sample(windows, windows.horizon, paths, generator)
        at = torch.tensor(levels, dtype=drawn.dtype, device=drawn.device)
        return torch.stack([each.quantile(at, dim=0).T for each in drawn])

    def _read(self, windows: Windows, series: Tensor, within: Tensor) -> tuple[Tensor, State]:
        """The values with the network's own means in the place of the missing ones, and the state of the layers.

        One call up to each step at which a row misses a value: what is read after it depends on the mean there.
        """
        target, steps = windows.target.masked_fill(~within, 0.0), windows.target.shape[1]
        gaps = within & ~windows.observed
        missing = (gaps.any(0).nonzero().flatten() + 1).tolist()
        state: State = None
        for begin, end in pairwise([0, *missing, *([steps] if steps not in missing else [])]):
            outputs, state = self._outputs(target, within, windows.known, series, begin, end, state)
            means = self.output(outputs[:, -1], windows.scale).mean()
            target[:, end - 1] = torch.where(gaps[:, end - 1], means, target[:, end - 1])
        return target, state

    def _outputs(
        self, target: Tensor, within: Tensor, known: Tensor, series: Tensor, begin: int, end: int, state: State
    ) -> tuple[Tensor, State]:
        """What the layers say of the values of steps ``begin`` to ``end``, and their state."""
        lagged = [_shifted(target, lag, begin, end) for lag in self.lags]
        present = [_shifted(within, lag, begin, end).to(target.dtype) for lag in self.lags]
        static = series.unsqueeze(1).expand(-1, end - begin, -1)
        x = torch.cat([torch.stack(lagged + present, dim=2), known[:, begin:end], static], dim=2)
        reset = starts(within)
        outputs, state = self.layers(x, state, reset=None if reset is None else reset[:, begin:end])
        return self.dropout(outputs), state

    def _with(self, value: Tensor, known: Tensor, state: AutoregressiveState) -> AutoregressiveState:
        values = torch.cat([state.values[:, 1:], value.unsqueeze(1)], dim=1)
        within = torch.cat([state.within[:, 1:], torch.ones_like(state.within[:, :1])], dim=1)
        return self._ahead(state.layers, values, within, known, state.series, state.scale)

    def _ahead(
        self, layers: State, values: Tensor, within: Tensor, known: Tensor, series: Tensor, scale: Tensor
    ) -> AutoregressiveState:
        """The layers step to where they speak of the value after the newest."""
        at = [-lag for lag in self.lags]
        x = torch.cat([values[:, at], within[:, at].to(values.dtype), known, series], dim=1)
        hidden, layers = self.layers.step(x, layers)
        hidden = self.dropout(hidden.unsqueeze(1)).squeeze(1)
        return AutoregressiveState(layers, hidden, values, within, series, scale)

    def _paths(self, state: AutoregressiveState, known: Tensor, generator: Generator) -> Tensor:
        drawn = [self.distribution(state).sample(generator)]
        for step in known.unbind(1):
            state = self._with(drawn[-1], step, state)
            drawn.append(self.distribution(state).sample(generator))
        return torch.stack(drawn, dim=1)


def _shifted(values: Tensor, lag: int, begin: int, end: int) -> Tensor:
    """The columns ``lag`` before ``begin`` to ``end``, 0 where that is before the first."""
    before = min(max(lag - begin, 0), end - begin)
    return torch.nn.functional.pad(values[:, max(begin - lag, 0) : max(end - lag, 0)], (before, 0))


def _last(values: Tensor, count: int) -> Tensor:
    """The last ``count`` columns, with zeros before them where there are fewer."""
    return torch.nn.functional.pad(values, (max(count - values.shape[1], 0), 0))[:, -count:]
