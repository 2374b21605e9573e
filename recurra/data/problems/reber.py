"""The embedded Reber grammar: which symbols may come next, one of them known since the beginning."""

import numpy as np
import torch

from recurra.data.problems.draws import Draws
from recurra.data.problems.problem import (
    Criterion,
    Examples,
    Problem,
    commonest,
    known,
    numbers,
    one_hot,
    true_bits_first,
)

ALPHABET = "BTPSXVE"
B, T, P, S, X, V, E = range(7)

EDGES = {1: ((T, 2), (P, 3)), 2: ((S, 2), (X, 4)), 3: ((T, 3), (V, 5)), 4: ((X, 3), (S, 6)), 5: ((P, 4), (V, 6))}
"""Of the inner grammar, behind its B: symbols and the nodes they lead to. From node 6 only E leads on."""

SYMBOLS = np.array([[symbol for symbol, _ in EDGES.get(node, ((E, 0), (E, 0)))] for node in range(7)])
NEXT = np.array([[to for _, to in EDGES.get(node, ((E, 0), (E, 0)))] for node in range(7)])
LAST = 6
SHORTEST = 6
"""The lag of BTBTXSETE."""

SAMPLE = 500
"""Strings that the trivial answer is taken from."""


def embedded_reber(lag: int = SHORTEST) -> Problem:
    """The symbols that may follow each of a string's: B, T or P, a string of Reber's grammar, that T or P again, E.

    Its choices are drawn at even odds, as the grammar's; those that would end the inner string before the lag is
    reached are not made. Solved: in every string, those that may follow are the most active outputs at every step.

    Source: Hochreiter and Schmidhuber (1997), Neural Computation 9, experiment 1; Smith and Zipser (1989).
    """

    def sample() -> Examples:
        return draw(Draws(0, range(SAMPLE)), lag)

    return Problem(
        "embedded-reber", lag, "at least so many steps lie between the second symbol and its return", inputs=7,
        outputs=7, kind="bits", ends=False, unit="symbol", draw=draw, right=true_bits_first,
        trivial=commonest(sample), optimal=known("bits"),
        criterion=Criterion("in every string the symbols that may follow are the most active at every step", 0.0),
        least_lag=SHORTEST,
    )  # fmt: skip


def draw(draws: Draws, lag: int) -> Examples:
    """Strings without their last E, and what may follow each symbol."""
    outer = T + draws.below(1, 2)[:, 0]
    inner, nodes = _walk(draws, lag)
    lengths = 1 + (nodes > 0).sum(1)  # of the inner string: its B, the symbol from each node
    rows, count = np.arange(len(draws)), len(draws)
    symbols = np.full((count, inner.shape[1] + 4), -1)
    follow = np.zeros((*symbols.shape, len(ALPHABET)))
    symbols[:, 0], symbols[:, 1], symbols[:, 2], symbols[:, 3:-1] = B, outer, B, inner
    follow[:, 0, [T, P]] = follow[:, 1, B] = 1.0
    for choice in (0, 1):
        symbol = SYMBOLS[nodes, choice]
        place = 2 + np.arange(nodes.shape[1])
        follow[rows[:, None], place, symbol] = np.maximum(follow[rows[:, None], place, symbol], nodes > 0)
    symbols[rows, 2 + lengths] = outer
    follow[rows, 1 + lengths, outer] = follow[rows, 2 + lengths, E] = 1.0
    steps = int(lengths.max()) + 3
    mask = torch.from_numpy(np.arange(steps) < (lengths + 3)[:, None])
    target = numbers(follow[:, :steps])
    return Examples(one_hot(symbols[:, :steps], 7), torch.from_numpy(lengths + 3), target, mask, mask, target)


def _walk(draws: Draws, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The symbols of inner strings behind their B, and the nodes they come from: -1 and 0 behind the last E."""
    node = np.ones(len(draws), dtype=np.int64)
    symbols: list[np.ndarray] = []
    nodes: list[np.ndarray] = []
    while node.any():
        for choice in (draws.uniform(lag + 16) < 0.5).T.astype(np.int64):  # as many for each, however long the others
            early = (NEXT[node, 1] == LAST) & (len(symbols) + 4 < lag)
            choice = np.where(early, 0, choice)
            symbols.append(np.where(node > 0, SYMBOLS[node, choice], -1))
            nodes.append(node)
            node = np.where(node > 0, NEXT[node, choice], 0)
            if not node.any():
                break
    return np.stack(symbols, 1), np.stack(nodes, 1)
