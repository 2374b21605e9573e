"""Bits of which every third is the exclusive or of the two before it."""

import numpy as np
import torch

from recurra.data.problems.draws import Draws
from recurra.data.problems.problem import CERTAIN, Criterion, Examples, Problem, constant, numbers, same_bits


def temporal_xor(lag: int = 120) -> Problem:
    """The next bit of a stream: two at random, their exclusive or, two at random, and so on.

    Two bits in three cannot be told, so that no more than 1/3 + 2/3 * 1/2 = 66.7 % of all can be right. Solved: in at
    most 1 % of the streams a bit that can be told is wrong. (Elman shows the error of each bit, and names no limit.)

    Source: Elman (1990), Cognitive Science 14, "Exclusive-OR".
    """

    def draw(draws: Draws, lag: int) -> Examples:
        triples = lag // 3 + 1
        pairs = draws.below(2 * triples, 2).reshape(len(draws), triples, 2)
        bits = np.concatenate([pairs, pairs.sum(2, keepdims=True) % 2], axis=2).reshape(len(draws), -1)[:, : lag + 1]
        target = numbers(bits[:, 1:, None])
        mask = torch.ones(len(draws), lag, dtype=torch.bool)
        return Examples(numbers(bits[:, :-1, None]), None, target, mask, _told(mask), target)

    def optimal(examples: Examples) -> torch.Tensor:
        return CERTAIN * (2 * examples.truth - 1) * examples.judged.unsqueeze(2)

    return Problem(
        "temporal-xor", lag, "the bits of a stream that are read", inputs=1, outputs=1, kind="bits", ends=False,
        unit="bit", draw=draw, right=same_bits, trivial=constant(0.0), optimal=optimal,
        criterion=Criterion("in at most 1 % of streams a bit that can be told is wrong", 0.01),
    )  # fmt: skip


def _told(mask: torch.Tensor) -> torch.Tensor:
    """The steps after which the exclusive or comes."""
    return mask & (torch.arange(mask.shape[1]) % 3 == 1)
