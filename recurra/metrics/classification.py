"""Scores of predicted classes, of their probabilities, and of several labels at once, by scikit-learn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from recurra.errors import BadInput
from recurra.metrics.score import Score

UNCHOSEN = 0.5
"""The threshold of a label that no validation case has: every threshold gives it the same F1, none."""


@dataclass(frozen=True)
class Thresholds:
    """The probabilities from which on labels are given to a case, chosen to give the greatest F1 on validation.

    Args:
        values: one for each label.
        each: whether each label has its own (the greatest macro F1), or all have the same (the greatest micro F1).
        all_cases: the labels, by number, that every validation case would get. That is what maximises the F1 of a
            classifier that knows nothing of a label, and says of a label's F1 that it is worth little.
    """

    values: tuple[float, ...]
    each: bool
    all_cases: tuple[int, ...]

    def __str__(self) -> str:
        which = "a threshold for each label" if self.each else "one threshold for all labels"
        return f"{which}, of the greatest F1 on validation"


def class_scores(given: Sequence[str], predicted: Sequence[str], signature: str) -> list[Score]:
    """Accuracy, and F1 averaged over the classes that were given or predicted (macro F1), in percent.

    Raises:
        ValueError: no case, or lists of different lengths.
        BadInput: the scikit-learn package is missing.
    """
    _check_lengths(len(given), len(predicted))
    metrics, signature = _metrics(signature)
    accuracy = 100 * metrics.accuracy_score(given, predicted)
    f1 = 100 * metrics.f1_score(given, predicted, average="macro", zero_division=0.0)
    return [
        Score("accuracy", float(accuracy), "%", True, signature),
        Score("macro F1", float(f1), "%", True, signature),
    ]


def log_loss(
    given: Sequence[str], probabilities: Float[np.ndarray, "N K"], classes: Sequence[str], signature: str
) -> Score:
    """The mean of the negative logarithm of the probability of the class that was given, in nats for each case.

    Infinite where a class was given that is none of ``classes``, the columns of ``probabilities``.

    Raises:
        ValueError: no case, other shapes, or rows that are no probabilities.
        BadInput: the scikit-learn package is missing.
    """
    _check_lengths(len(given), len(probabilities))
    if probabilities.shape[1:] != (len(classes),):
        raise ValueError(f"probabilities must be (N, {len(classes)}), got {probabilities.shape}")
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if not (probabilities >= 0).all() or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-4):
        raise ValueError("each row of probabilities must be at least 0 and sum to 1")
    metrics, signature = _metrics(signature)
    if not {*given} <= {*classes}:
        return Score("log loss", math.inf, "nats/case", False, signature)
    numbers = [classes.index(name) for name in given]
    if len(classes) == 1:  # scikit-learn wants two
        return Score("log loss", 0.0, "nats/case", False, signature)
    shares = probabilities / probabilities.sum(axis=1, keepdims=True)
    value = metrics.log_loss(numbers, shares, labels=range(len(classes)))
    return Score("log loss", float(value), "nats/case", False, signature)


def choose_thresholds(
    given: Bool[np.ndarray, "N L"], probabilities: Float[np.ndarray, "N L"], *, each: bool
) -> Thresholds:
    """The thresholds of the greatest F1 on validation cases; of several such, the highest.

    Args:
        given: which labels each case has.
        each: whether each label gets its own; else all the same.

    Source: Lipton, Elkan and Naryanaswamy (2014), Thresholding classifiers to maximize F1 score, ECML PKDD: for
    calibrated probabilities the threshold is half of the F1 that it gives, and an uninformative classifier's gives the
    label to every case (``Thresholds.all_cases``).

    Raises:
        ValueError: no case, other shapes, or probabilities that are not finite.
        BadInput: the scikit-learn package is missing.
    """
    _check_labels(given, probabilities)
    if each:
        values = [_threshold(given[:, k], probabilities[:, k]) for k in range(given.shape[1])]
    else:
        values = [_threshold(given.ravel(), probabilities.ravel())] * given.shape[1]
    everywhere = np.flatnonzero((probabilities >= values).all(axis=0))
    return Thresholds(tuple(values), each, tuple(everywhere.tolist()))


def multilabel_scores(
    given: Bool[np.ndarray, "N L"], probabilities: Float[np.ndarray, "N L"], thresholds: Thresholds, signature: str
) -> list[Score]:
    """F1 over all labels of all cases (micro), and averaged over labels (macro; 0 for one neither given nor predicted).

    In percent; the signature says how the thresholds were chosen.

    Raises:
        ValueError: no case, other shapes, or probabilities that are not finite.
        BadInput: the scikit-learn package is missing.
    """
    _check_labels(given, probabilities)
    if len(thresholds.values) != given.shape[1]:
        raise ValueError(f"one threshold for each of {given.shape[1]} labels is wanted, got {len(thresholds.values)}")
    metrics, signature = _metrics(f"{signature}; {thresholds}")
    found = probabilities >= thresholds.values
    micro = metrics.f1_score(given.ravel(), found.ravel(), zero_division=0.0)
    macro = np.mean([metrics.f1_score(*label, zero_division=0.0) for label in zip(given.T, found.T, strict=True)])
    return [
        Score("micro F1", 100 * float(micro), "%", True, signature),
        Score("macro F1", 100 * float(macro), "%", True, signature),
    ]


def _threshold(given: Bool[np.ndarray, " N"], probabilities: Float[np.ndarray, " N"]) -> float:
    if not given.any():
        return UNCHOSEN
    metrics, _ = _metrics("")
    precision, recall, thresholds = metrics.precision_recall_curve(given, probabilities)
    total = (precision + recall)[:-1]
    f1 = np.divide(2 * (precision * recall)[:-1], total, out=np.zeros(len(total)), where=total > 0)
    return float(thresholds[f1 >= f1.max() - 1e-12][-1])


def _check_lengths(given: int, predicted: int) -> None:
    if given != predicted or given == 0:
        raise ValueError(f"one prediction for each of at least one case is wanted, got {predicted} for {given}")


def _check_labels(given: np.ndarray, probabilities: np.ndarray) -> None:
    if given.ndim != 2 or given.shape != probabilities.shape or given.size == 0 or given.dtype != np.bool_:
        raise ValueError(
            f"labels must be true or false and probabilities alike, (N, L) of at least one, "
            f"got {given.dtype} {given.shape} and {probabilities.shape}"
        )
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities must be finite")


def _metrics(signature: str) -> tuple[Any, str]:
    """The package's metrics, and the signature with its version."""
    try:
        import sklearn
        from sklearn import metrics
    except ImportError as error:
        raise BadInput("scores of classes need scikit-learn: pip install 'recurra[labelling]'") from error
    return metrics, f"{signature}; scikit-learn {sklearn.__version__}"
