"""Symbols to be said again after a long wait."""

import math

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
    constant,
    known,
    likeliest,
    one_hot,
)
from recurra.errors import BadInput

COPIED = 10
"""Symbols of a string that is copied."""


def delayed_recall(lag: int = 50, symbols: int = 4) -> Problem:
    """The first symbol of a sequence, T steps after it was read; nothing but noise symbols in between.

    The symbol is one of ``symbols``, and so is each of T - 1 others, which come from a second alphabet; the last step
    is a cue. Solved: at most 1 % of the sequences are answered wrong. (The papers latch one bit; they name no limit for
    this form.)

    Source: after Bengio, Simard and Frasconi (1994), IEEE Transactions on Neural Networks 5, section III.
    """
    _check_symbols(symbols)

    def draw(draws: Draws, lag: int) -> Examples:
        first = draws.below(1, symbols)
        between = symbols + draws.below(lag - 1, symbols)
        read = np.concatenate([first, between, np.full((len(draws), 1), 2 * symbols)], axis=1)
        return answered_at_end(one_hot(read, 2 * symbols + 1), torch.from_numpy(first))

    return Problem(
        "delayed-recall", lag, "the steps from the symbol to the cue", inputs=2 * symbols + 1, outputs=symbols,
        kind="classes", ends=True, unit="symbol", draw=draw, right=likeliest, trivial=constant(*[0.0] * symbols),
        optimal=known("classes", symbols),
        criterion=Criterion("at most 1 % of sequences are answered wrong", 0.01),
    )  # fmt: skip


def copy_memory(lag: int = 100, symbols: int = 8) -> Problem:
    """Ten symbols, T - 1 blanks, a delimiter and ten blanks: T + 10 blanks are the answer, and then the ten symbols.

    Whoever remembers nothing pays 10 ln 8 / (T + 20) nats a step. Solved: at most 1 % of the sequences have an answer
    that is wrong. (The paper compares losses, and names no limit.)

    Source: Arjovsky, Shah and Bengio (2016), arXiv:1511.06464, section 5.1, after Hochreiter and Schmidhuber (1997).
    """
    _check_symbols(symbols)
    blank, delimiter = symbols, symbols + 1

    def draw(draws: Draws, lag: int) -> Examples:
        read = np.full((len(draws), lag + 2 * COPIED), blank)
        read[:, :COPIED] = string = draws.below(COPIED, symbols)
        read[:, lag + COPIED - 1] = delimiter
        target = torch.full(read.shape, blank)
        target[:, -COPIED:] = torch.from_numpy(string)
        mask = torch.ones(read.shape, dtype=torch.bool)
        return Examples(one_hot(read, symbols + 2), None, target, mask, mask, target)

    def trivial(examples: Examples) -> Tensor:
        outputs = torch.zeros(*examples.mask.shape, symbols + 1)
        outputs[:, :-COPIED, blank] = CERTAIN
        outputs[:, -COPIED:, blank] = -CERTAIN
        return outputs

    return Problem(
        "copy-memory", lag, "T: from a symbol to its copy are T + 10 steps", inputs=symbols + 2, outputs=symbols + 1,
        kind="classes", ends=False, unit="symbol", draw=draw, right=likeliest, trivial=trivial,
        optimal=known("classes", symbols + 1),
        criterion=Criterion("at most 1 % of sequences have an answer that is wrong", 0.01),
    )  # fmt: skip


def copy_baseline(lag: int, symbols: int = 8) -> float:
    """The loss of whoever remembers nothing, in nats a step."""
    return COPIED * math.log(symbols) / (lag + 2 * COPIED)


def _check_symbols(symbols: int) -> None:
    if symbols < 2:
        raise BadInput(f"--symbols {symbols}: nothing has to be told apart; give 2 or more")
