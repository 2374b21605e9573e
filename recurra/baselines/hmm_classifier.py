"""A hidden Markov model of each class of series: what a recurrent classifier has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float

from recurra.errors import BadInput

STATES = 5
ITERATIONS = 30
SMALLEST_VARIANCE = 0.01  # in units of the dimension's variance over all training steps


@final
@dataclass(frozen=True, eq=False)
class GaussianHMMs:
    """One left-to-right hidden Markov model with Gaussian states for each class, by hmmlearn; Bayes' rule decides.

    A state is followed by itself or by the next; the first step is in the first state, and the last one in any, so that
    a series may have fewer steps than there are states. Dimensions are scaled to the mean and variance of all training
    steps; a state's dimensions are independent. EM begins at an even division of each series and ends after
    ``ITERATIONS``, converged or not, which a baseline can bear. One pseudo-observation at that beginning, of variance
    ``SMALLEST_VARIANCE``, keeps every state's estimate finite, however few steps a class has. Nothing is drawn at
    random.

    Five states are what Kudo, Toyama and Shimbo (1999), Pattern Recognition Letters 20, give the hidden Markov models
    beside theirs (Japanese vowels). Source: Rabiner (1989), Proceedings of the IEEE 77(2), sections IV and V.

    Args:
        classes: in the order of their names.
        log_prior: of each class, its share of the training cases.
        mean, scale: of each dimension; a constant one has scale 1.
    """

    classes: tuple[str, ...]
    log_prior: Float[np.ndarray, " K"]
    mean: Float[np.ndarray, " D"]
    scale: Float[np.ndarray, " D"]
    models: tuple[Any, ...]

    @classmethod
    def fit(cls, series: Sequence[np.ndarray], labels: Sequence[str], states: int = STATES) -> "GaussianHMMs":
        """Learn from series of (T, D), T of each its own and at least 1.

        Raises:
            ValueError: no series, another number of labels, states below 1, or series that are empty, of different
                dimensions or not finite.
            BadInput: the hmmlearn package is missing.
        """
        if states < 1:
            raise ValueError(f"states must be at least 1, got {states}")
        if len(series) != len(labels) or not series:
            raise ValueError(
                f"one label for each of at least one series is wanted, got {len(series)} and {len(labels)}"
            )
        _check(series, series[0].shape[-1])
        steps = np.concatenate(series).astype(np.float64)
        mean, scale = steps.mean(axis=0), steps.std(axis=0)
        scale[scale <= 1e-12 * np.abs(mean)] = 1.0  # constant but for rounding
        scaled = [(one - mean) / scale for one in series]
        classes, numbers = np.unique(labels, return_inverse=True)
        models = tuple(
            _fit([one for one, number in zip(scaled, numbers, strict=True) if number == k], states)
            for k in range(len(classes))
        )
        return cls(tuple(classes.tolist()), np.log(np.bincount(numbers) / len(labels)), mean, scale, models)

    @property
    def parameters(self) -> int:
        """Means, variances and transitions of all states."""
        return sum(2 * model.means_.size + 2 * model.n_components - 1 for model in self.models)

    def log_likelihoods(self, series: Sequence[np.ndarray]) -> Float[np.ndarray, "N K"]:
        """Logarithm of the density of each scaled series (T, D) given each class.

        Raises:
            ValueError: series that are empty, of other dimensions than those learnt from, or not finite.
        """
        _check(series, len(self.mean))
        scaled = [(one - self.mean) / self.scale for one in series]
        found = [model.score(one) for one in scaled for model in self.models]
        return np.array(found, dtype=np.float64).reshape(len(series), len(self.models))

    def predict(self, series: Sequence[np.ndarray]) -> list[str]:
        """The most likely class of each series; raises as :meth:`log_likelihoods`."""
        best = (self.log_likelihoods(series) + self.log_prior).argmax(axis=1)
        return [self.classes[number] for number in best]


def _check(series: Sequence[np.ndarray], dimensions: int) -> None:
    for number, one in enumerate(series):
        if one.ndim != 2 or one.shape[1] != dimensions or len(one) == 0:
            raise ValueError(f"series must be (T, {dimensions}) with T at least 1, got {one.shape} for number {number}")
        if not np.isfinite(one).all():
            raise ValueError(f"series must be finite, but number {number} is not")


def _fit(series: list[np.ndarray], states: int) -> Any:
    """The model of one class."""
    steps = np.concatenate(series)
    place = np.concatenate([np.arange(len(one)) * states // max(len(one), states) for one in series])
    members = [steps[place == state] for state in range(states)]
    # a state behind the end of every series stands at the mean of the class
    means = np.stack([(some if len(some) else steps).mean(axis=0) for some in members])
    squares = np.stack([((some - mean) ** 2).sum(axis=0) for some, mean in zip(members, means, strict=True)])
    model = _package().GaussianHMM(
        states,
        covariance_type="diag",
        means_prior=means,
        means_weight=1.0,
        covars_prior=SMALLEST_VARIANCE,
        covars_weight=2.0,  # hmmlearn takes one off
        transmat_prior=2.0,  # a pseudo-count of one for each way out of a state
        n_iter=ITERATIONS,
        params="tmc",
        init_params="",
    )
    model.startprob_ = np.eye(states)[0]
    model.transmat_ = _forwards(states)
    model.means_ = means
    model.covars_ = (squares + SMALLEST_VARIANCE) / (np.bincount(place, minlength=states)[:, None] + 1)
    return model.fit(steps, [len(one) for one in series])


def _forwards(states: int) -> Float[np.ndarray, "S S"]:
    ways = np.eye(states) + np.eye(states, k=1)
    return ways / ways.sum(axis=1, keepdims=True)


def _package() -> Any:
    try:
        from hmmlearn import base, hmm
    except ImportError as error:
        raise BadInput("the hidden Markov model of series needs hmmlearn: pip install 'recurra[labelling]'") from error
    # it warns of few data and of likelihoods that fall, which priors make harmless and possible
    base._log.setLevel("ERROR")
    return hmm
