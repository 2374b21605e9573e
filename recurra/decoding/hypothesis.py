"""What a search gives back."""

from typing import NamedTuple


class Hypothesis(NamedTuple):
    """A sequence that a search has found.

    Attributes:
        tokens: all that follow what the search began with, forced ones included. The last is the end token unless the
            hypothesis was cut at its maximum length.
        log_probability: the sum of the tokens' natural log-probabilities under the model.
        score: what hypotheses are ranked by: the log-probability under the penalties of the search.
    """

    tokens: list[int]
    log_probability: float
    score: float
