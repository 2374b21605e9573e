"""Which rare symbols came in which order, among many that do not matter."""

import numpy as np
import torch

from recurra.data.problems.draws import Draws
from recurra.data.problems.problem import (
    Criterion,
    Examples,
    Problem,
    answered_at_end,
    close_probabilities,
    constant,
    known,
    one_hot,
    within,
)

DISTRACTORS = 4  # a, b, c, d
X, E, B = 4, 6, 7  # Y is X + 1
SYMBOLS = 8

CRITERION = Criterion("in at most 1 % of sequences any class's probability is off by 0.3 or more", 0.01)


def temporal_order(lag: int = 100) -> Problem:
    """The order of two symbols, each X or Y, one in [T/10, T/5] and one in [T/2, 3T/5]: four classes.

    A sequence of T to 1.1 T steps begins with E and ends with B; its other symbols are a, b, c or d. Solved: in at most
    1 % of the sequences the probability of any class is off by 0.3 or more; the error is Hochreiter and Schmidhuber's
    (whose own nets then had 1 or 2 such among 2,560), the part that of Martens and Sutskever (2011).

    Source: Hochreiter and Schmidhuber (1997), Neural Computation 9, experiment 6a, where T is 100; stretched to other T
    as by Martens and Sutskever (2011), ICML.
    """
    return _order("temporal-order", lag, ((1 / 10, 1 / 5), (1 / 2, 3 / 5)))


def temporal_order_3(lag: int = 100) -> Problem:
    """The order of three symbols, in [T/10, T/5], [33 T/100, 43 T/100] and [66 T/100, 76 T/100]: eight classes.

    Otherwise as :func:`temporal_order`.

    Source: Hochreiter and Schmidhuber (1997), Neural Computation 9, experiment 6b.
    """
    return _order("temporal-order-3", lag, ((1 / 10, 1 / 5), (33 / 100, 43 / 100), (66 / 100, 76 / 100)))


def _order(name: str, lag: int, spans: tuple[tuple[float, float], ...]) -> Problem:
    classes = 2 ** len(spans)

    def draw(draws: Draws, lag: int) -> Examples:
        lengths = lag + draws.below(1, lag // 10 + 1)[:, 0]
        steps, rows = int(lengths.max()), np.arange(len(draws))
        symbols = draws.below(lag + lag // 10, DISTRACTORS)[:, :steps]
        symbols[:, 0], symbols[rows, lengths - 1] = E, B
        answer = np.zeros(len(draws), dtype=np.int64)
        for begin, end in spans:
            first, last = round(begin * lag), round(end * lag)
            place, which = first + draws.below(1, last - first + 1)[:, 0], draws.below(1, 2)[:, 0]
            symbols[rows, place] = X + which
            answer = 2 * answer + which
        symbols[~within(lengths, steps)] = -1
        return answered_at_end(one_hot(symbols, SYMBOLS), torch.from_numpy(answer[:, None]), lengths)

    return Problem(
        name, lag, "T: a sequence has T to 1.1 T steps", inputs=SYMBOLS, outputs=classes, kind="classes", ends=True,
        unit="class", draw=draw, right=close_probabilities(0.3), trivial=constant(*[0.0] * classes),
        optimal=known("classes", classes), criterion=CRITERION, least_lag=10,
    )  # fmt: skip
