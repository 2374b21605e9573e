"""Scores of a model that gives every token a probability."""

import math

from recurra.metrics.score import Score


def likelihood_scores(nats: float, tokens: int, characters: int | None, signature: str) -> list[Score]:
    """The ways the literature reports one number.

    Args:
        nats: the negative log-likelihood of all tokens together, in natural units.
        tokens: how many tokens were predicted.
        characters: the characters they spell, where every one can be read back from the tokens; else None.
        signature: of the measurement.

    Returns:
        The one to quote first: bits per character where ``characters`` is given; then perplexity, and nats per token
        (the training loss).

    Raises:
        ValueError: no token was predicted.
    """
    if tokens < 1:
        raise ValueError("no token was predicted")
    mean = nats / tokens
    perplexity = math.exp(mean) if mean < 700 else math.inf
    scores = [
        Score("perplexity", perplexity, "per token", False, signature),
        Score("cross-entropy", mean, "nats/token", False, signature),
    ]
    if characters:
        scores.insert(0, Score("bits per character", nats / characters / math.log(2), "bits", False, signature))
    return scores
