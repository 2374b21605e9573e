"""Minimum Bayes risk: of several candidates the one most like what the model expects."""

from collections.abc import Callable, Sequence
from math import exp, isfinite
from typing import TypeVar

Candidate = TypeVar("Candidate", bound=Sequence)
"""A string or a sequence of tokens."""


def expected_utilities(
    candidates: Sequence[Candidate],
    utility: Callable[[Candidate, Candidate], float],
    *,
    log_probabilities: Sequence[float] | None = None,
) -> list[float]:
    """How useful each candidate is on average if the truth is one of them.

    Args:
        candidates: strings or sequences of tokens; samples, or the n best with their ``log_probabilities``.
        utility: from a candidate and what is held for the truth to a number, the larger the better; a loss negated.
            Called once for each pair of different candidates.
        log_probabilities: weigh the n best by their shares of the probability they have together; None weighs all
            alike, as samples want.

    Source: Kumar and Byrne (2004), NAACL, over an n-best list; Eikema and Aziz (2020), COLING, over samples.

    Raises:
        ValueError: no candidates; another number of log-probabilities, or one that is infinite or NaN.
    """
    weights = [0.0] * len(candidates) if log_probabilities is None else list(log_probabilities)
    if not candidates or len(weights) != len(candidates) or not all(map(isfinite, weights)):
        raise ValueError(f"need a finite log-probability for each of 1 or more candidates, got {weights}")
    different: dict[str | tuple, Candidate] = {}
    share: dict[str | tuple, float] = {}
    for candidate, weight in zip(candidates, weights, strict=True):
        key = _key(candidate)
        different.setdefault(key, candidate)
        share[key] = share.get(key, 0.0) + exp(weight - max(weights))
    total = sum(share.values())
    expected = {
        key: sum(share[truth] * utility(one, other) for truth, other in different.items()) / total
        for key, one in different.items()
    }
    return [expected[_key(candidate)] for candidate in candidates]


def minimum_bayes_risk(
    candidates: Sequence[Candidate],
    utility: Callable[[Candidate, Candidate], float],
    *,
    log_probabilities: Sequence[float] | None = None,
) -> int:
    """Which candidate has the highest expected utility, of equals the first; see :func:`expected_utilities`."""
    expected = expected_utilities(candidates, utility, log_probabilities=log_probabilities)
    return expected.index(max(expected))


def _key(candidate: Sequence) -> str | tuple:
    return candidate if isinstance(candidate, str) else tuple(candidate)
