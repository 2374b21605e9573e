"""The scores to beat: repeated values, a line, a linear model, a Markov chain, a window, and statistical models."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from recurra.baselines.classical_forecasts import NAMES, classical, installed
from recurra.baselines.linear_forecast import LinearForecast
from recurra.baselines.markov_forecast import MarkovForecast
from recurra.baselines.naive_forecasts import Forecast, drift, naive, seasonal_naive
from recurra.metrics.forecast import LEVELS
from recurra.metrics.score import Score
from recurra.tasks.forecasting.linear import fit_linear, scaled_pairs
from recurra.tasks.forecasting.reading import Data, PartName
from recurra.tasks.forecasting.scoring import Forecaster, Scorer, network, whole_histories
from recurra.tasks.forecasting.windows import Cuts, read_stretches
from recurra.tasks.window_run import score_window, train_window

if TYPE_CHECKING:
    from recurra.tasks.run import Run

LINEAR = 336
"""Last values that the linear model reads; a third of the training part where that is shorter."""

MOST_STEPS = 2_000_000
"""That a Markov chain is counted in."""

MOST_CLASSICAL = 24
"""Windows that statistical models forecast: each fits a series anew, which takes seconds. They say so in what they were
measured on, and the model's own scores on these windows stand beside them."""

LONGEST = 500
"""Values that they are fitted to."""

SAME = (
    "layout", "time", "target", "group", "known", "past", "static", "categories", "frequency", "time_format",
    "encoding", "horizon", "context", "season", "train_size", "dev_size", "test_size", "until", "distribution",
    "scaling", "calendar", "windows", "best_by", "score", "hidden_size", "batch_size", "epochs",
    "learning_rate", "seed", "threads", "device",
)  # fmt: skip
"""The model's options that the window network has too."""


def simple(data: Data) -> dict[str, Forecaster]:
    """Those that take no fitting, by name."""
    meaning = data.meaning
    season, horizon = meaning.season, meaning.horizon
    before = max(meaning.context, 4 * season, 64)

    def history(cuts: Cuts) -> np.ndarray:
        return read_stretches(data, cuts, before, 0)[:, :, 0]

    found: dict[str, Forecaster] = {
        "naive": lambda cuts: naive(history(cuts), horizon, LEVELS),
        "drift": lambda cuts: drift(history(cuts), horizon, LEVELS),
    }
    if season > 1:
        found["seasonal-naive"] = lambda cuts: seasonal_naive(history(cuts), horizon, LEVELS, season)
    return found


def usual_length(own: Data) -> int:
    """Last values that the linear model reads."""
    return max(1, min(LINEAR, int(np.median(own.split.dev)) // 3))


def _unscaled(found: Forecast, data: Data, cuts: Cuts) -> Forecast:
    centre, deviation = data.centre[cuts.series], data.deviation[cuts.series]
    quantiles = found.quantiles
    if quantiles is not None:
        quantiles = quantiles * deviation[:, None, None] + centre[:, None, None]
    return Forecast(found.mean * deviation[:, None] + centre[:, None], quantiles)


def linear(model: LinearForecast, data: Data) -> Forecaster:
    """A linear model as a forecaster."""
    return lambda cuts: _unscaled(model.forecast(scaled_pairs(data, cuts, "series", model.length)[0]), data, cuts)


def fit_markov(own: Data) -> MarkovForecast:
    """A Markov chain of the training part, each series in its own spread; of the first series of a shuffle where they
    have too many steps."""
    order = np.random.default_rng(0).permutation(len(own.panel))
    steps = own.split.dev[order].cumsum()
    used = order[: max(1, int(np.searchsorted(steps, MOST_STEPS, "right")))]
    return MarkovForecast.fit(
        (own.target(number, 0, int(own.split.dev[number])) - own.centre[number]) / own.deviation[number]
        for number in used.tolist()
    )


def markov(model: MarkovForecast, data: Data) -> Forecaster:
    """A Markov chain as a forecaster."""

    def forecast(cuts: Cuts) -> Forecast:
        last = naive(scaled_pairs(data, cuts, "series", data.meaning.context)[0], 1, LEVELS).mean[:, 0]
        return _unscaled(model.forecast(last, data.meaning.horizon, LEVELS), data, cuts)

    return forecast


def prepare_baselines(run: "Run") -> None:
    """Train the window network on the same data, as a run folder inside the run's."""
    train_window(run, SAME)


def baselines(run: "Run", data: Data, part: PartName, cuts: Cuts | None = None) -> dict[str, list[Score]]:
    """Scores on the same windows: what is fitted is fitted to the run's own training part, whatever is scored.

    Args:
        cuts: some of the part's windows, else all.
    """
    own: Data = run.data
    scorer = Scorer(data, part, cuts)
    found = {name: scorer.score(each, name) for name, each in simple(data).items()}
    try:
        model = fit_linear(own, "series", usual_length(own))
        found["linear"] = scorer.score(linear(model, data), f"ridge on the last {model.length} values")
    except ValueError as error:
        print(f"without a linear model beside it: {error}", file=sys.stderr)
    found["markov"] = scorer.score(markov(fit_markov(own), data), "quantised values, of each the next")
    at_once = replace(data, config=data.config.model_copy(update={"model": "window"}))
    found |= score_window(
        run,
        lambda window, *_: scorer.score(network(window, at_once), "a layer on the context"),
        data,
        part,
        data.meaning.context,
    )
    return found | score_classical(run, data, part, scorer)


def score_classical(run: "Run", data: Data, part: PartName, scorer: Scorer) -> dict[str, list[Score]]:
    """Scores of ETS, theta and ARIMA on some windows, and the model's own on these; none without statsforecast."""
    if not installed():
        print("without ETS, theta and ARIMA beside it: pip install 'recurra[classical]'", file=sys.stderr)
        return {}
    numbers = np.linspace(0, len(scorer.cuts) - 1, min(MOST_CLASSICAL, len(scorer.cuts))).round().astype(np.int64)
    some = Scorer(data, part, scorer.cuts.take(numbers))
    meaning = data.meaning

    def forecaster(name: str) -> Forecaster:
        return lambda cuts: classical(
            name, whole_histories(data, cuts, LONGEST), meaning.horizon, meaning.season, LEVELS
        )

    settings = f"each series by itself, its last {LONGEST} values"
    found = {name: some.score(forecaster(name), settings) for name in NAMES}
    if len(some.cuts) == len(scorer.cuts):
        return found
    return found | {"model on the same": some.score(network(run.model, data), "windows as of ets")}
