"""Markov chains that learn from a stream as it comes: each token is predicted from the counts before it is counted."""

import math
from typing import final

import numpy as np


@final
class AdaptiveChain:
    """A Markov chain with the Krichevsky–Trofimov estimate: (count + 1/2) / (all counts + V/2).

    Args:
        size: tokens V.
        order: 0 for the frequencies alone, 1 for those after each token.

    Source: Krichevsky and Trofimov (1981), IEEE Transactions on Information Theory 27(2).

    Raises:
        ValueError: another order, whose table would grow with V to a higher power.
    """

    def __init__(self, size: int, order: int) -> None:
        if order not in (0, 1):
            raise ValueError(f"order must be 0 or 1, got {order}")
        self.order = order
        self.counts = np.full((size if order else 1, size), 0.5)
        self.nats = 0.0

    def learn(self, tokens: np.ndarray) -> None:
        """Predict, then count, every token but the first, which is the context of the second; add up the nats."""
        contexts = tokens[:-1] if self.order else np.zeros(len(tokens) - 1, np.intp)
        for context, token in zip(contexts.tolist(), tokens[1:].tolist(), strict=True):
            row = self.counts[context]
            self.nats -= math.log(row[token] / row.sum())
            row[token] += 1
