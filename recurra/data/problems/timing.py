"""Intervals to be measured and to be kept: what peepholes are for."""

from typing import Literal

import numpy as np
import torch

from recurra.data.problems.draws import Draws
from recurra.data.problems.problem import (
    Criterion,
    Examples,
    Problem,
    close,
    commonest,
    constant,
    known,
    numbers,
    same_bits,
)
from recurra.errors import unknown

INTERVALS = 10
"""Between the spikes of a sequence."""

PERIODS = 10
"""Of a periodic function."""

SAMPLE = 500
"""Sequences that a trivial answer is taken from."""


def spike_delays(lag: int = 10) -> Problem:
    """How long after the last one a spike comes: F or F + 1 steps, ten times; asked at every spike but the first.

    Solved: at most 1 % of the sequences have a delay that is nearer to the wrong one. (This limit is ours.)

    Source: Gers, Schraudolph and Schmidhuber (2002), JMLR 3, "measuring spike delays", with I(n) in {0, 1}.
    """

    def draw(draws: Draws, lag: int) -> Examples:
        more, spikes, lengths = _spikes(draws, lag)
        target = np.zeros_like(spikes)
        rows, places = np.nonzero(spikes)
        target[rows, places] = np.concatenate([np.zeros((len(more), 1)), more], axis=1).ravel()
        mask = torch.from_numpy(spikes > 0)
        mask[:, 0] = False
        truth = numbers(target[:, :, None])
        return Examples(numbers(spikes[:, :, None]), torch.from_numpy(lengths), truth, mask, mask, truth)

    return Problem(
        "spike-delays", lag, "F, the shorter one of the two intervals", inputs=1, outputs=1, kind="numbers",
        ends=False, unit="steps", draw=draw, right=close(0.5), trivial=constant(0.5), optimal=known("numbers"),
        criterion=Criterion("at most 1 % of sequences have a delay that is nearer to the wrong one", 0.01),
        scales=False,
    )  # fmt: skip


def timed_spikes(lag: int = 10) -> Problem:
    """When to spike: F steps after the last spike where 0 is read meanwhile, F + 1 where 1 is; ten intervals.

    The net's own spikes are not shown to it. Solved: at most 1 % of the sequences have a spike too many or too few.
    (This limit is ours.)

    Source: Gers, Schraudolph and Schmidhuber (2002), JMLR 3, "generating timed spikes", with I(n) in {0, 1}.
    """

    def draw(draws: Draws, lag: int) -> Examples:
        more, spikes, lengths = _spikes(draws, lag)
        begun = spikes.cumsum(1).astype(np.int64) - 1  # the interval that each step lies in, its first spike included
        padded = np.concatenate([more, np.zeros((len(more), 1))], axis=1)
        x = np.take_along_axis(padded, begun, axis=1)
        mask = torch.from_numpy(np.arange(spikes.shape[1]) < lengths[:, None])
        mask[:, 0] = False  # it is where the first interval begins
        truth = numbers(spikes[:, :, None])
        return Examples(numbers(x[:, :, None]), torch.from_numpy(lengths), truth, mask, mask, truth)

    return Problem(
        "timed-spikes", lag, "F, the shorter one of the two intervals", inputs=1, outputs=1, kind="bits", ends=False,
        unit="spike", draw=draw, right=same_bits, trivial=commonest(lambda: draw(Draws(0, range(SAMPLE)), lag)),
        optimal=known("bits"),
        criterion=Criterion("at most 1 % of sequences have a spike too many or too few", 0.01), scales=False,
    )  # fmt: skip


def _spikes(draws: Draws, lag: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each interval has beyond F ``(B, INTERVALS)``, spikes ``(B, T)`` and lengths; the first step has a spike."""
    more = draws.below(INTERVALS, 2)
    times = np.concatenate([np.zeros((len(draws), 1), dtype=np.int64), (lag + more).cumsum(1)], axis=1)
    lengths = times[:, -1] + 1
    spikes = np.zeros((len(draws), int(lengths.max())))
    np.put_along_axis(spikes, times, 1.0, axis=1)
    return more, spikes, lengths


SHAPES = ("cosine", "triangle", "rectangle")


def periodic(lag: int = 10, shape: Literal["cosine", "triangle", "rectangle"] = "cosine") -> Problem:
    """Ten periods of a function of amplitude 1, with nothing to read: all sequences are alike.

    Solved: the mean absolute error is below 0.05. (This limit is ours.)

    Source: Gers, Schraudolph and Schmidhuber (2002), JMLR 3, "periodic function generation".
    """
    if shape not in SHAPES:
        raise unknown("value of --shape", shape, SHAPES)

    def draw(draws: Draws, lag: int) -> Examples:
        phase = np.arange(1, PERIODS * lag + 1) / lag % 1
        wave = {
            "cosine": np.cos(2 * np.pi * phase),
            "triangle": 4 * np.abs(phase - 0.5) - 1,
            "rectangle": np.where(phase < 0.5, 1.0, -1.0),
        }[shape]
        truth = numbers(np.tile(wave[None, :, None], (len(draws), 1, 1)))
        mask = torch.ones(truth.shape[:2], dtype=torch.bool)
        return Examples(torch.zeros_like(truth), None, truth, mask, mask, truth)

    return Problem(
        "periodic", lag, "the steps of a period", inputs=1, outputs=1, kind="numbers", ends=False, unit="amplitude",
        draw=draw, right=close(0.15), trivial=constant(0.0), optimal=known("numbers"),
        criterion=Criterion("the mean absolute error is below 0.05", 1.0, 0.05), scales=False,
    )  # fmt: skip
