"""Languages that have one string for each n: what may come next is known from a count."""

from collections.abc import Sequence

import numpy as np
import torch

from recurra.data.problems.draws import Draws
from recurra.data.problems.problem import Criterion, Examples, Problem, commonest, known, numbers, one_hot, same_bits


def anbn(lag: int = 10) -> Problem:
    """What may follow each symbol of S, n times a, n times b: a, b, or the end T; n from 1 to N.

    The empty string belongs to the language too: T may follow S. Solved: every string up to N is accepted, which it is
    when the prediction at every step is right. How far beyond N that goes on is the question.

    Source: Gers and Schmidhuber (2001), IEEE Transactions on Neural Networks 12, section III.
    """
    return _language("anbn", lag, "ab")


def anbncn(lag: int = 10) -> Problem:
    """What may follow each symbol of S, n times a, n times b, n times c; otherwise as :func:`anbn`.

    Source: Gers and Schmidhuber (2001), IEEE Transactions on Neural Networks 12, section III.
    """
    return _language("anbncn", lag, "abc")


def _language(name: str, lag: int, letters: str) -> Problem:
    kinds = len(letters)

    def strings(counts: Sequence[int]) -> Examples:
        return _strings(np.asarray(counts), kinds)

    def draw(draws: Draws, lag: int) -> Examples:
        return _strings(1 + draws.below(1, lag)[:, 0], kinds)

    return Problem(
        name, lag, "N, the largest n in training", inputs=kinds + 1, outputs=kinds + 1, kind="bits", ends=False,
        unit="symbol", draw=draw, right=same_bits, trivial=commonest(lambda: strings(range(1, lag + 1))),
        optimal=known("bits"), criterion=Criterion("every string up to n = N is accepted", 0.0), strings=strings,
    )  # fmt: skip


def _strings(counts: np.ndarray, kinds: int) -> Examples:
    """The strings of some n. Read are S (number 0) and the letters; answered are the letters (from 0 on) and T."""
    lengths = 1 + kinds * counts
    place = np.arange(int(lengths.max())) - 1  # of a symbol among the letters; S has -1
    inside = place < (lengths - 1)[:, None]
    letter = np.maximum(place // counts[:, None], -1)  # a is 0
    read = np.where(inside, letter + 1, -1)
    target = np.zeros((*read.shape, kinds + 1))
    rows, steps = np.nonzero(inside)
    following = (steps // counts[rows]).clip(max=kinds)  # of the place behind it; T's is K
    target[rows, steps, following] = 1.0
    target[read == 1, :2] = 1.0  # behind an a another one may follow, or the first b
    target[:, 0, kinds] = 1.0
    mask = torch.from_numpy(inside)
    found = numbers(target)
    return Examples(one_hot(read, kinds + 1), torch.from_numpy(lengths), found, mask, mask, found)
