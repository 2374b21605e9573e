"""The models that a comparison of classifiers can name."""

import time
from typing import Any

from recurra.baselines.ngram import LARGEST_ORDER
from recurra.metrics.score import Score
from recurra.tasks.classification.baselines import fit_markov, score_majority, score_markov
from recurra.tasks.classification.reading import Cases
from recurra.tasks.networks import network

NGRAMS = {f"{order}-gram": order for order in range(1, LARGEST_ORDER + 1)}


def contender(name: str) -> dict[str, Any] | None:
    """The options that make the model of that name; None where it has no weights to train and :func:`count` makes it.

    Raises:
        BadInput: there is none.
    """
    if name in ("majority", "hmm", *NGRAMS):
        return None
    return network(name, ("majority", "hmm", *NGRAMS))


def count(name: str, data: Cases) -> tuple[int, float, dict[str, list[Score]]]:
    """Parameters, seconds of counting, and scores by part of a model without weights to train.

    Raises:
        BadInput: the model is not for such cases.
    """
    started = time.perf_counter()
    if name == "majority":
        found = {part: score_majority(data, data, part) for part in ("dev", "test")}
        return len(data.meaning.classes), time.perf_counter() - started, found
    model = fit_markov(data, NGRAMS.get(name))
    seconds = time.perf_counter() - started
    return model.parameters, seconds, {part: score_markov(model, data, part) for part in ("dev", "test")}
