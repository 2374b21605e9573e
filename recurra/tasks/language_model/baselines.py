"""The scores to beat: how often each token comes, a Markov chain, and a network on a sliding window."""

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.baselines.ngram import KneserNey
from recurra.data.tokens import Corpus
from recurra.errors import BadInput
from recurra.metrics.likelihood import likelihood_scores
from recurra.metrics.score import Score
from recurra.tasks.language_model.scoring import characters, evaluate, signature
from recurra.tasks.window_run import score_window, train_window

if TYPE_CHECKING:
    from recurra.tasks.run import Run

MOST_TOKENS = 10_000_000
"""Of the training part that n-grams are counted in: the counts of more would not fit on a small machine."""

ORDER = 5

SAME = ("unit", "min_count", "vocabulary_size", "hidden_size", "batch_size", "window", "seed", "threads", "device")
"""The model's options that the window network has too."""


def fit_ngram(data: Corpus, order: int) -> KneserNey:
    """An n-gram model of the training part."""
    return KneserNey.fit(np.asarray(data.train[0:MOST_TOKENS]), order, len(data.vocabulary))


def score_ngram(model: KneserNey, data: Corpus, part: str) -> list[Score]:
    """Scores of one part of the text, in the units of the recurrent model's."""
    tokens = getattr(data, part)
    nats, block = 0.0, 1_000_000
    for start in range(1, len(tokens), block):
        context = tokens[max(0, start - model.order) : start]
        nats -= float(model.log_probabilities(tokens[start : start + block], context).sum())
    used = min(len(data.train), MOST_TOKENS)
    settings = f"interpolated modified Kneser-Ney, order {model.order}, trained on {used} tokens"
    return likelihood_scores(nats, len(tokens) - 1, characters(data, part), signature(data, part, settings))


def prepare_baselines(run: "Run") -> None:
    """Train the window network on the same data, as a run folder inside the run's; not beside a model that has grown,
    whose vocabulary is that of the run it grew from."""
    if run.config.grown_from is not None:
        print("without the window network beside it, which would have a vocabulary of its own", file=sys.stderr)
        return
    train_window(run, SAME, steps=_window_steps(run.config, run.data), embedding_size=32, learning_rate=5e-3)


def _window_steps(config: Any, data: Corpus) -> int:
    """Steps that make a batch of about 2,048 tokens: without a recurrence, long windows cost nothing."""
    return min(max(config.steps, 2048 // config.batch_size), (len(data.train) - 1) // config.batch_size)


def baselines(run: "Run", data: Corpus, part: str) -> dict[str, list[Score]]:
    """Scores of the unigram (the trivial model), the n-gram, and the window network where it was trained."""
    found = {}
    try:
        own = run.data  # n-grams are counted in the run's own training part, whatever is scored
        for name, order in (("unigram", 1), (f"{ORDER}-gram", ORDER)):
            found[name] = score_ngram(fit_ngram(own, order), data, part)
    except BadInput as error:
        print(f"without n-grams beside it: {error}", file=sys.stderr)
    return found | score_window(run, evaluate, data, part)
