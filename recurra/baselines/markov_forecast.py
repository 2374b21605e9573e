"""A Markov chain on quantised values: what is known of the next value from the last one alone."""

from collections.abc import Iterable

import numpy as np

from recurra.baselines.naive_forecasts import Forecast

BINS = 40
"""Of equal share; fewer where values repeat."""


class MarkovForecast:
    """Transition probabilities between bins of scaled values; a forecast is their power.

    Args:
        edges: between bins, ascending (N - 1,).
        means: of the training values of each bin (N,).
        transitions: from a row's bin to a column's (N, N); rows sum to 1.
    """

    def __init__(self, edges: np.ndarray, means: np.ndarray, transitions: np.ndarray) -> None:
        self.edges, self.means, self.transitions = edges, means, transitions

    @classmethod
    def fit(cls, series: Iterable[np.ndarray]) -> "MarkovForecast":
        """Count in series of scaled values (T,), NaN where nothing was observed. A pair is added to each bin's own.

        Raises:
            ValueError: no value.
        """
        kept = [values for values in series if (~np.isnan(values)).any()]
        if not kept:
            raise ValueError("no values to count")
        every = np.concatenate([values[~np.isnan(values)] for values in kept])
        edges = np.unique(np.quantile(every, np.linspace(0, 1, BINS + 1)[1:-1]))
        bins = np.searchsorted(edges, every, "right")
        counts = np.bincount(bins, minlength=len(edges) + 1)
        sums = np.bincount(bins, every, len(edges) + 1)
        used = np.flatnonzero(counts)  # an edge at the least value leaves the bin below it empty
        edges, means = edges[np.maximum(used[1:] - 1, 0)], sums[used] / counts[used]
        transitions = np.eye(len(used))
        for values in kept:
            pairs = ~np.isnan(values[:-1]) & ~np.isnan(values[1:])
            here, there = (np.searchsorted(edges, each[pairs], "right") for each in (values[:-1], values[1:]))
            np.add.at(transitions, (here, there), 1.0)
        return cls(edges, means, transitions / transitions.sum(1, keepdims=True))

    @property
    def parameters(self) -> int:
        return self.transitions.size

    def forecast(self, last: np.ndarray, horizon: int, levels: tuple[float, ...]) -> Forecast:
        """The next values, scaled, from the last observed one of each series (B,)."""
        chances = np.eye(len(self.means))[np.searchsorted(self.edges, last, "right")]
        mean = np.empty((len(last), horizon))
        quantiles = np.empty((len(last), horizon, len(levels)))
        for step in range(horizon):
            chances = chances @ self.transitions
            mean[:, step] = chances @ self.means
            below = chances.cumsum(1)
            for number, level in enumerate(levels):
                quantiles[:, step, number] = self.means[(below >= level - 1e-9).argmax(1)]
        return Forecast(mean, quantiles)
