"""An n-gram model of each class of texts: what a recurrent classifier has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Integer

from recurra.baselines.ngram import KneserNey

ORDER = 2


@final
@dataclass(frozen=True, eq=False)
class NgramClassifier:
    """One :class:`KneserNey` model for each class; Bayes' rule decides.

    The sequences of a class are one stream, with a mark before the first and after each; a sequence is scored from the
    mark before it to the one after it. Where a class has too few tokens for the order, its model has the order that
    they allow.

    Source: Peng, Schuurmans and Wang (2004), Information Retrieval 7, sections 3 and 4.

    Args:
        classes: in the order of their names.
        log_prior: of each class, its share of the training sequences.
        mark: the token between sequences, one above all others.
    """

    classes: tuple[str, ...]
    log_prior: Float[np.ndarray, " K"]
    mark: int
    models: tuple[KneserNey, ...]

    @classmethod
    def fit(
        cls,
        sequences: Sequence[Integer[np.ndarray, " T"]],
        labels: Sequence[str],
        vocabulary_size: int,
        order: int = ORDER,
    ) -> "NgramClassifier":
        """Count the n-grams of sequences of token ids in [0, V), each of any length.

        Raises:
            ValueError: no sequence, another number of labels, an order out of range, or tokens that are not integers
                in [0, V).
        """
        if len(sequences) != len(labels) or not sequences:
            raise ValueError(
                f"one label for each of at least one sequence is wanted, got {len(sequences)} and {len(labels)}"
            )
        classes, numbers = np.unique(labels, return_inverse=True)
        models = []
        for k in range(len(classes)):
            members = [one for one, number in zip(sequences, numbers, strict=True) if number == k]
            stream = np.concatenate([[vocabulary_size], *(_marked(one, vocabulary_size) for one in members)])
            models.append(KneserNey.fit(stream, min(order, len(stream)), vocabulary_size + 1))
        log_prior = np.log(np.bincount(numbers) / len(labels))
        return cls(tuple(classes.tolist()), log_prior, vocabulary_size, tuple(models))

    @property
    def parameters(self) -> int:
        """The number of n-grams stored, over all classes."""
        return sum(model.parameters for model in self.models)

    def log_likelihoods(self, sequences: Sequence[Integer[np.ndarray, " T"]]) -> Float[np.ndarray, "N K"]:
        """Logarithm of the probability of each sequence, its end included, given each class.

        Raises:
            ValueError: tokens that are not integers in [0, V).
        """
        context = np.array([self.mark])
        found = [
            model.log_probabilities(_marked(one, self.mark), context).sum()
            for one in sequences
            for model in self.models
        ]
        return np.array(found, dtype=np.float64).reshape(len(sequences), len(self.models))

    def predict(self, sequences: Sequence[Integer[np.ndarray, " T"]]) -> list[str]:
        """The most likely class of each sequence; raises as :meth:`log_likelihoods`."""
        best = (self.log_likelihoods(sequences) + self.log_prior).argmax(axis=1)
        return [self.classes[number] for number in best]


def _marked(sequence: Integer[np.ndarray, " T"], mark: int) -> Integer[np.ndarray, " T+1"]:
    """A sequence with the mark behind it."""
    sequence = np.asarray(sequence)
    if len(sequence) == 0:
        return np.array([mark])
    if sequence.ndim != 1 or not np.issubdtype(sequence.dtype, np.integer):
        raise ValueError(f"tokens must be one sequence of integers, got {sequence.dtype} {sequence.shape}")
    if sequence.min() < 0 or sequence.max() >= mark:
        raise ValueError(f"tokens must lie in [0, {mark}), got {sequence.min()} to {sequence.max()}")
    return np.append(sequence.astype(np.int64), mark)
