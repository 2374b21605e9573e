"""Two marked numbers among many, to be added or multiplied at the end."""

import numpy as np

from recurra.data.problems.draws import Draws
from recurra.data.problems.problem import (
    Criterion,
    Examples,
    Problem,
    answered_at_end,
    close,
    constant,
    known,
    numbers,
    within,
)

RAGGED = "a sequence has T to 1.1 T steps"


def adding(lag: int = 100) -> Problem:
    """The sum of two marked numbers in [0, 1), in the form of later papers: T steps, one mark in each half.

    Solved: at most 1 % of the sequences have an absolute error of 0.04 or more, which is the error that Hochreiter and
    Schmidhuber (1997) allow in their form, whose target spreads half as far.

    Source: Le, Jaitly and Hinton (2015), arXiv:1504.00941, section 4.1; one mark a half, Arjovsky, Shah and Bengio
    (2016), arXiv:1511.06464, section 5.2; the problem, Hochreiter and Schmidhuber (1997), experiment 4.
    """

    def draw(draws: Draws, lag: int) -> Examples:
        values = draws.uniform(lag)
        places = np.concatenate([draws.below(1, lag // 2), lag // 2 + draws.below(1, lag - lag // 2)], axis=1)
        marks = np.zeros_like(values)
        np.put_along_axis(marks, places, 1.0, axis=1)
        target = np.take_along_axis(values, places, axis=1).sum(1)
        return answered_at_end(numbers(np.stack([values, marks], axis=2)), numbers(target[:, None, None]))

    return Problem(
        "adding", lag, "the steps T of a sequence", inputs=2, outputs=1, kind="numbers", ends=True, unit="sum",
        draw=draw, right=close(0.04), trivial=constant(1.0), optimal=known("numbers"),
        criterion=Criterion("at most 1 % of sequences have an absolute error of 0.04 or more", 0.01),
    )  # fmt: skip


def adding_1997(lag: int = 100) -> Problem:
    """0.5 + (X1 + X2) / 4, of two marked numbers in [-1, 1) in sequences of T to 1.1 T steps.

    The first mark is on one of the first ten steps, the second on one of the T/2 - 1 first others; the first and the
    last step are marked with -1. A marked first step counts as 0. Solved: at most 1 % of the sequences have an absolute
    error of 0.04 or more; the paper's own nets had 0 to 2 such among 2,560.

    Source: Hochreiter and Schmidhuber (1997), Neural Computation 9, experiment 4.
    """

    def draw(draws: Draws, lag: int) -> Examples:
        x, one, other, lengths = _marked(draws, lag, low=-1.0, first=0.0)
        target = 0.5 + (one + other) / 4
        return answered_at_end(numbers(x), numbers(target[:, None, None]), lengths)

    return Problem(
        "adding-1997", lag, f"T: {RAGGED}", inputs=2, outputs=1, kind="numbers", ends=True, unit="sum",
        draw=draw, right=close(0.04), trivial=constant(0.5), optimal=known("numbers"),
        criterion=Criterion("at most 1 % of sequences have an absolute error of 0.04 or more", 0.01), least_lag=24,
    )  # fmt: skip


def multiplication(lag: int = 100) -> Problem:
    """X1 * X2 of two marked numbers in [0, 1), as in :func:`adding_1997`; a marked first step counts as 1.

    Solved: at most 13 in 2,000 sequences have an absolute error of 0.04 or more, the stricter one of the paper's two
    limits (the other is 140).

    Source: Hochreiter and Schmidhuber (1997), Neural Computation 9, experiment 5.
    """

    def draw(draws: Draws, lag: int) -> Examples:
        x, one, other, lengths = _marked(draws, lag, low=0.0, first=1.0)
        return answered_at_end(numbers(x), numbers((one * other)[:, None, None]), lengths)

    first = 1 / 10 + 9 / 10 / (lag // 2 - 1) if lag >= 24 else 0.0
    return Problem(
        "multiplication", lag, f"T: {RAGGED}", inputs=2, outputs=1, kind="numbers", ends=True, unit="product",
        draw=draw, right=close(0.04), trivial=constant(0.25 * (1 - first) + 0.5 * first), optimal=known("numbers"),
        criterion=Criterion("at most 13 in 2,000 sequences have an absolute error of 0.04 or more", 13 / 2000),
        least_lag=24,
    )  # fmt: skip


def _marked(
    draws: Draws, lag: int, *, low: float, first: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values and marks ``(B, T, 2)``, the two marked values, and lengths.

    Args:
        low: values lie in [low, 1).
        first: what a first step that gets marked counts as.
    """
    lengths = lag + draws.below(1, lag // 10 + 1)[:, 0]
    steps, rows = int(lengths.max()), np.arange(len(draws))
    values = (low + (1 - low) * draws.uniform(lag + lag // 10))[:, :steps]
    one = draws.below(1, 10)[:, 0]
    other = draws.below(1, lag // 2 - 1)[:, 0]
    other += other >= one  # of the steps that are not yet marked
    marks = np.zeros_like(values)
    marks[:, 0] = marks[rows, lengths - 1] = -1.0
    marks[rows, one] = marks[rows, other] = 1.0
    values[(one == 0) | (other == 0), 0] = first
    x = np.stack([values, marks], axis=2) * within(lengths, steps)[:, :, None]
    return x, values[rows, one], values[rows, other], lengths
