"""The scores to beat: the most frequent class, a Markov model of each class, and a network on a sliding window."""

import sys
from typing import TYPE_CHECKING

import numpy as np

from recurra.baselines.hmm_classifier import GaussianHMMs
from recurra.baselines.ngram_classifier import NgramClassifier
from recurra.errors import BadInput
from recurra.metrics.classification import choose_thresholds
from recurra.metrics.score import Score
from recurra.tasks.classification.reading import Cases, Part
from recurra.tasks.classification.scoring import evaluate, scores
from recurra.tasks.window_run import score_window, train_window

if TYPE_CHECKING:
    from recurra.tasks.run import Run

Markov = GaussianHMMs | NgramClassifier

MOST_STEPS = 2_000_000
"""Of the training part that a Markov model is made from: the first cases of a shuffle."""

ORDERS = (1, 2, 3)
"""Of the n-grams, of which those stand beside a model that do best on the dev part."""

SAME = (
    "text", "label", "separator", "encoding", "images", "unit", "lower", "min_count", "vocabulary_size", "longest",
    "normalise", "window", "embedding_size", "class_weights", "best_by", "hidden_size", "batch_size", "epochs",
    "learning_rate", "seed", "threads", "device",
)  # fmt: skip
"""The model's options that the window network has too."""


def score_majority(own: Cases, data: Cases, part: str) -> list[Score]:
    """Scores of giving every case what is most frequent in the training part."""
    cases: Part = getattr(data, part)
    classes = len(own.meaning.classes)
    if not own.meaning.multilabel:
        shares = np.bincount(own.train.targets, minlength=classes) / len(own.train)
        return scores(data, part, np.tile(shares, (len(cases), 1)), settings="the most frequent class")
    shares = own.train.targets.mean(0)
    thresholds = choose_thresholds(own.dev.targets > 0, np.tile(shares, (len(own.dev), 1)), each=True)
    return scores(data, part, np.tile(shares, (len(cases), 1)), thresholds, "each label always or never")


def fit_markov(data: Cases, order: int | None) -> Markov:
    """A Markov model of each class of the training part: n-grams of texts, hidden states of series.

    Args:
        order: of the n-grams; None for hidden states.

    Raises:
        BadInput: cases of the other kind, or with several labels; a package is missing.
    """
    meaning = data.meaning
    if meaning.multilabel:
        raise BadInput("a Markov model of each class needs one label a case; leave it out")
    if (order is None) == (meaning.vocabulary is not None):
        kind = {"text": "texts, whose models are n-grams", "series": "series, whose model is hmm"}[meaning.kind]
        raise BadInput(f"these are {kind}; name that instead")
    order_of_cases = np.random.default_rng(0).permutation(len(data.train))
    steps = np.cumsum(data.train.lengths[order_of_cases])
    used = np.sort(order_of_cases[: max(1, int(np.searchsorted(steps, MOST_STEPS, "right")))]).tolist()
    sequences = [data.train[case] for case in used]
    labels = [meaning.classes[number] for number in data.train.targets[used].tolist()]
    if order is None or meaning.vocabulary is None:
        return GaussianHMMs.fit(sequences, labels)
    return NgramClassifier.fit(sequences, labels, len(meaning.vocabulary), order)


def score_markov(model: Markov, data: Cases, part: str) -> list[Score]:
    """Scores of a Markov model of each class."""
    cases: Part = getattr(data, part)
    joint = model.log_likelihoods([cases[case] for case in range(len(cases))]) + model.log_prior
    found = np.full((len(cases), len(data.meaning.classes)), -np.inf)
    found[:, [data.meaning.classes.index(name) for name in model.classes]] = joint
    return scores(data, part, found, settings="a Markov model of each class")


def prepare_baselines(run: "Run") -> None:
    """Train the window network on the same data, as a run folder inside the run's."""
    train_window(run, SAME)


def baselines(run: "Run", data: Cases, part: str) -> dict[str, list[Score]]:
    """Scores of the most frequent class, of Markov models, and of the window network where it was trained."""
    found = {}
    try:
        own: Cases = run.data  # what is counted is the run's own training part, whatever is scored
        found["majority"] = score_majority(own, data, part)
        if not own.meaning.multilabel:
            name, markov = best_markov(own)
            found[name] = score_markov(markov, data, part)
    except BadInput as error:
        print(f"without {'a Markov model' if found else 'counted models'} beside it: {error}", file=sys.stderr)
    return found | score_window(run, evaluate, data, part)


def best_markov(own: Cases) -> tuple[str, Markov]:
    """The Markov model to stand beside a network, and its name."""
    if own.meaning.vocabulary is None:
        return "hmm", fit_markov(own, None)
    models = {f"{order}-gram": fit_markov(own, order) for order in ORDERS}
    return max(models.items(), key=lambda item: score_markov(item[1], own, "dev")[0].value)
