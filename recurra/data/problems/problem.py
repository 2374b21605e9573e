"""What a problem is: examples drawn without end, a loss, and when it counts as solved."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from recurra.data.problems.draws import Draws
from recurra.errors import BadInput

Kind = Literal["numbers", "classes", "bits"]

CERTAIN = 30.0
"""A score before softmax or sigmoid that leaves no doubt in float32."""


class Examples(NamedTuple):
    """Some examples side by side. S is 1 where only the end of a sequence is answered, and T where every step is.

    Args:
        x: zeros behind a sequence's end.
        lengths: steps of each; None where all have T.
        target: numbers or bits ``(B, S, K)``, or classes ``(B, S)``.
        mask: the answers that the loss counts.
        judged: those that have to be right in a sequence that is.
        truth: as ``target``: what answers are judged by. It differs where targets are noisy.
    """

    x: Float[Tensor, "B T I"]
    lengths: Int[Tensor, " B"] | None
    target: Tensor
    mask: Bool[Tensor, "B S"]
    judged: Bool[Tensor, "B S"]
    truth: Tensor


class Criterion(NamedTuple):
    """When a problem counts as solved: few sequences are wrong, and the error is small.

    Args:
        text: what that is, in one line.
        wrong: the largest part of all sequences, 0 to 1, in which an answer may be wrong.
        mean_error: what the mean absolute error of the judged numbers has to stay below.
    """

    text: str
    wrong: float
    mean_error: float | None = None


@dataclass(frozen=True)
class Problem:
    """A problem at its lag.

    Args:
        name: as in ``PROBLEMS``.
        lag: as ``lag_means`` says in one line.
        inputs: I, features of a step.
        outputs: K, numbers of an answer.
        kind: "numbers" cost their squared error, "classes" the cross-entropy of a softmax, "bits" that of a sigmoid
            each.
        ends: whether only the end of a sequence is answered, not every step.
        unit: of an answer that is a number; what an answer is, else.
        draw: examples at a lag that is at most ``lag``, unless the problem ``scales``.
        right: which answers, ``(B, S)``, are right, from outputs and truth.
        trivial: outputs for examples by the best answer that remembers nothing of the input.
        optimal: outputs for examples by the best answer there is.
        criterion: when it is solved.
        least_lag: the shortest lag at which the problem is one.
        scales: whether what was learnt at one lag can be asked at a longer one.
        strings: the example of every n, for a language that has one string of each.
    """

    name: str
    lag: int
    lag_means: str
    inputs: int
    outputs: int
    kind: Kind
    ends: bool
    unit: str
    draw: Callable[[Draws, int], Examples]
    right: Callable[[Tensor, Tensor], Tensor]
    trivial: Callable[[Examples], Tensor]
    optimal: Callable[[Examples], Tensor]
    criterion: Criterion
    least_lag: int = 2
    scales: bool = True
    strings: Callable[[Sequence[int]], Examples] | None = None

    def __post_init__(self) -> None:
        if self.lag < self.least_lag:
            raise BadInput(f"--lag {self.lag}: {self.name} needs {self.least_lag} or more ({self.lag_means})")

    def examples(self, seed: int, indices: Iterable[int], lag: int | None = None) -> Examples:
        """The examples of some numbers; each depends on the seed, its number and the lag alone.

        Args:
            lag: another than the problem's own.
        """
        return self.draw(Draws(seed, indices), self.lag if lag is None else lag)

    def loss(self, outputs: Float[Tensor, "B S K"], target: Tensor, mask: Bool[Tensor, "B S"]) -> Float[Tensor, ""]:
        """The mean over the answers that count: convex in ``outputs``.

        Numbers cost the sum of their squared errors, classes -log p, bits the mean of -log p over the K, in nats.
        """
        each = step_losses(self.kind, outputs, target)
        return torch.where(mask, each, 0.0).sum() / mask.sum()


def step_losses(kind: Kind, outputs: Float[Tensor, "B S K"], target: Tensor) -> Float[Tensor, "B S"]:
    """What every answer costs by itself."""
    match kind:
        case "numbers":
            return (outputs - target).square().sum(2)
        case "classes":
            return functional.cross_entropy(outputs.transpose(1, 2), target, reduction="none")
        case "bits":
            return functional.binary_cross_entropy_with_logits(outputs, target, reduction="none").mean(2)


def numbers(values: np.ndarray) -> Tensor:
    """As a tensor in the precision of training."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(torch.get_default_dtype())


def one_hot(symbols: np.ndarray, count: int) -> Tensor:
    """Symbols as unit vectors; zeros for those below 0.

    Args:
        symbols: ``(B, T)``.
    """
    x = torch.zeros(*symbols.shape, count)
    found = torch.from_numpy(symbols).unsqueeze(2)
    return x.scatter_(2, found.clamp(min=0), (found >= 0).to(x.dtype))


def answered_at_end(
    x: Tensor, target: Tensor, lengths: np.ndarray | None = None, truth: Tensor | None = None
) -> Examples:
    """Examples with one answer each."""
    every = torch.ones(len(x), 1, dtype=torch.bool)
    steps = None if lengths is None else torch.from_numpy(lengths)
    return Examples(x, steps, target, every, every, target if truth is None else truth)


def constant(*values: float) -> Callable[[Examples], Tensor]:
    """The answer that is always the same."""
    return lambda examples: torch.tensor(values).expand(*examples.mask.shape, len(values))


def known(kind: Kind, classes: int = 0) -> Callable[[Examples], Tensor]:
    """The answer that knows the truth.

    Args:
        classes: K, of classes.
    """
    match kind:
        case "numbers":
            return lambda examples: examples.truth
        case "classes":
            return lambda examples: CERTAIN * functional.one_hot(examples.truth, classes).to(torch.get_default_dtype())
        case "bits":
            return lambda examples: CERTAIN * (2 * examples.truth - 1)


def commonest(bits: Callable[[], Examples]) -> Callable[[Examples], Tensor]:
    """The constant answer that gives every bit its probability in some examples, drawn when it is first asked for."""

    @cache
    def mean() -> Tensor:
        sample = bits()
        return sample.target[sample.mask].mean(0)

    def answer(examples: Examples) -> Tensor:
        return torch.logit(mean(), eps=1e-6).expand(*examples.mask.shape, -1)

    return answer


def close(tolerance: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Every number is nearer to the truth than ``tolerance``."""
    return lambda outputs, truth: ((outputs - truth).abs() < tolerance).all(2)


def close_probabilities(tolerance: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The probability of every class is nearer to 1 or 0 than ``tolerance``."""

    def right(outputs: Tensor, truth: Tensor) -> Tensor:
        wanted = functional.one_hot(truth, outputs.shape[2])
        return ((outputs.softmax(2) - wanted).abs() < tolerance).all(2)

    return right


def likeliest(outputs: Tensor, truth: Tensor) -> Tensor:
    """The class with the highest score is the true one."""
    return outputs.argmax(2) == truth


def same_bits(outputs: Tensor, truth: Tensor) -> Tensor:
    """Every bit is on the right side of one half."""
    return ((outputs > 0) == (truth > 0.5)).all(2)


def true_bits_first(outputs: Tensor, truth: Tensor) -> Tensor:
    """Every bit that is 1 has a higher score than every bit that is 0."""
    lowest = outputs.masked_fill(truth < 0.5, torch.inf).amin(2)
    highest = outputs.masked_fill(truth > 0.5, -torch.inf).amax(2)
    return lowest > highest


def within(lengths: np.ndarray, steps: int) -> np.ndarray:
    """Which of ``(B, steps)`` lie before a sequence's end."""
    found: np.ndarray = np.arange(steps) < lengths[:, None]
    return found
