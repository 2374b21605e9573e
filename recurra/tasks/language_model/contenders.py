"""The models that a comparison can name."""

import time
from typing import Any

from recurra.baselines.ngram import LARGEST_ORDER
from recurra.data.tokens import Corpus
from recurra.metrics.score import Score
from recurra.tasks.language_model.baselines import fit_ngram, score_ngram
from recurra.tasks.networks import network

NGRAMS = {f"{order}-gram": order for order in range(1, LARGEST_ORDER + 1)}


def contender(name: str) -> dict[str, Any] | None:
    """The options that make the model of that name; None where it has no weights to train and :func:`count` makes it.

    Raises:
        BadInput: there is none.
    """
    if name in NGRAMS:
        return None
    return network(name, NGRAMS)


def count(name: str, data: Corpus) -> tuple[int, float, dict[str, list[Score]]]:
    """Parameters, seconds of counting, and scores by part of a model without weights to train."""
    started = time.perf_counter()
    model = fit_ngram(data, NGRAMS[name])
    seconds = time.perf_counter() - started
    return model.parameters, seconds, {part: score_ngram(model, data, part) for part in ("dev", "test")}
