"""A symbol at the beginning that comes again at the end, and others between."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from recurra.data.problems.draws import Draws
from recurra.data.problems.problem import (
    CERTAIN,
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

ENDS = 0.1
"""The probability, after q distractors, that no further one comes, in 2c."""


def long_lag_2a(lag: int = 100) -> Problem:
    """The next symbol of (x, a1, ..., a(p-1), x) or (y, a1, ..., a(p-1), y), each as likely.

    Solved: of no sequence is any output's probability at the end off by 0.25 or more.

    Source: Hochreiter and Schmidhuber (1997), Neural Computation 9, experiment 2a.
    """
    return _next_symbol("2a", lag)


def long_lag_2b(lag: int = 100) -> Problem:
    """As :func:`long_lag_2a` with p - 1 symbols drawn from a1 ... a(p-1) between the ends: only the end can be told.

    Source: Hochreiter and Schmidhuber (1997), Neural Computation 9, experiment 2b.
    """
    return _next_symbol("2b", lag)


def _next_symbol(variant: Literal["2a", "2b"], lag: int) -> Problem:
    symbols = lag + 1
    x = lag - 1  # a1 is 0, and y is x + 1

    def draw(draws: Draws, lag: int) -> Examples:
        ends = x + draws.below(1, 2)
        between = np.tile(np.arange(lag - 1), (len(draws), 1)) if variant == "2a" else draws.below(lag - 1, lag - 1)
        whole = np.concatenate([ends, between, ends], axis=1)
        target = torch.from_numpy(whole[:, 1:])
        mask = torch.ones(target.shape, dtype=torch.bool)
        judged = torch.zeros_like(mask)
        judged[:, -1] = True
        return Examples(one_hot(whole[:, :-1], symbols), None, target, mask, judged, target)

    def optimal(examples: Examples) -> Tensor:
        outputs = known("classes", symbols)(examples)
        if variant == "2b":
            steps = examples.mask.shape[1]
            outputs[:, :-1] = -CERTAIN
            outputs[:, :-1, : steps - 1] = 0.0
        return outputs

    def trivial(examples: Examples) -> Tensor:
        outputs = optimal(examples)
        outputs[:, -1] = -CERTAIN
        outputs[:, -1, x : x + 2] = 0.0
        return outputs

    text = "of no sequence is an output's probability at the end off by 0.25 or more"
    return Problem(
        f"long-lag-{variant}", lag, "p, the steps from the first symbol to the last", inputs=symbols, outputs=symbols,
        kind="classes", ends=False, unit="symbol", draw=draw, right=close_probabilities(0.25), trivial=trivial,
        optimal=optimal, criterion=Criterion(text, 0.0), scales=False,
    )  # fmt: skip


def long_lag_2c(lag: int = 100) -> Problem:
    """Whether x or y stood behind the b that a sequence begins with: to be said when e comes.

    Between them are q distractors and as many more until one of probability 1/10 ends them; they are of q kinds.
    Solved: of no sequence is an output's probability off by 0.2 or more.

    Source: Hochreiter and Schmidhuber (1997), Neural Computation 9, experiment 2c, with p = q.
    """
    kinds = lag
    e, b, x = kinds, kinds + 1, kinds + 2

    def draw(draws: Draws, lag: int) -> Examples:
        which = draws.below(1, 2)
        more = np.log1p(-draws.uniform(1)[:, 0]) / np.log1p(-ENDS)
        between = lag + more.astype(np.int64)
        symbols = np.empty((len(draws), int(between.max()) + 3), dtype=np.int64)
        symbols[:, 0], symbols[:, 1:2] = b, x + which
        symbols[:, 2:-1] = draws.below(int(between.max()), kinds)  # drawn last: a row's own do not depend on how many
        symbols[np.arange(len(draws)), between + 2] = e
        symbols[~within(between + 3, symbols.shape[1])] = -1
        return answered_at_end(one_hot(symbols, kinds + 4), torch.from_numpy(which), between + 3)

    text = "of no sequence is an output's probability off by 0.2 or more"
    return Problem(
        "long-lag-2c", lag, "q: at least so many distractors lie between the symbol and its recall", inputs=kinds + 4,
        outputs=2, kind="classes", ends=True, unit="symbol", draw=draw, right=close_probabilities(0.2),
        trivial=constant(0.0, 0.0), optimal=known("classes", 2), criterion=Criterion(text, 0.0),
    )  # fmt: skip
