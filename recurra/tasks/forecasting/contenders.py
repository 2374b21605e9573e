"""The models that a comparison of forecasters can name."""

import re
import time
from typing import Any

from recurra.cells import CELLS
from recurra.errors import unknown
from recurra.metrics.score import Score
from recurra.tasks.forecasting.baselines import fit_markov, linear, markov, simple, usual_length
from recurra.tasks.forecasting.linear import fit_linear
from recurra.tasks.forecasting.reading import Data
from recurra.tasks.forecasting.scoring import Scorer

SIMPLE = ("naive", "seasonal-naive", "drift")
COUNTED = (*SIMPLE, "linear", "markov")


def contender(name: str) -> dict[str, Any] | None:
    """The options that make the model of that name; None where it has no weights to train and :func:`count` makes it.

    Raises:
        BadInput: there is none.
    """
    if name in COUNTED:
        return None
    if name in CELLS:
        return {"cell": name}
    if found := re.fullmatch(r"window(?:-([1-9]\d*))?", name):
        return {"model": "window"} | ({"context": int(found[1])} if found[1] else {})
    raise unknown("model", name, [*COUNTED, "window", *CELLS])


def count(name: str, data: Data) -> tuple[int, float, dict[str, list[Score]]]:
    """Parameters, seconds of fitting, and scores by part of a model without weights to train.

    Raises:
        BadInput: it is not for such series.
    """
    started = time.perf_counter()
    if name == "linear":
        found = fit_linear(data, "series", usual_length(data))
        parameters, forecaster = found.parameters, linear(found, data)
    elif name == "markov":
        chain = fit_markov(data)
        parameters, forecaster = chain.parameters, markov(chain, data)
    else:
        known = simple(data)
        if name not in known:
            raise unknown("model of series without a season", name, known)
        parameters, forecaster = 0, known[name]
    seconds = time.perf_counter() - started
    return (
        parameters,
        seconds,
        {"dev": Scorer(data, "dev").score(forecaster, name), "test": Scorer(data, "test").score(forecaster, name)},
    )
