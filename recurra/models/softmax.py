"""The layers that end a model of tokens: a softmax over the vocabulary, and one whose rare words cost less."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recurra.models.cross_entropy import linear_cross_entropy


@final
class Softmax(nn.Module):
    """An affine map to V scores, whose softmax are the probabilities; weights as of ``torch.nn.Linear``, biases zero.

    Args:
        input_size: H.
        vocabulary_size: V.
    """

    def __init__(self, input_size: int, vocabulary_size: int) -> None:
        super().__init__()
        linear = nn.Linear(input_size, vocabulary_size)
        self.weight, self.bias = linear.weight, nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, hidden: Float[Tensor, "*B H"]) -> Float[Tensor, "*B V"]:
        """Scores before the softmax."""
        return nn.functional.linear(hidden, self.weight, self.bias)

    def cross_entropy(
        self, hidden: Float[Tensor, "B T H"], targets: Int[Tensor, "B T"], *, divisor: float = 1.0
    ) -> Float[Tensor, ""]:
        """The sum over all targets of -log p(target) over ``divisor``, in nats; targets of -100 do not count."""
        return linear_cross_entropy(hidden.flatten(0, 1), self.weight, self.bias, targets.flatten(), divisor=divisor)


@final
class AdaptiveSoftmax(nn.Module):
    """A softmax over the most frequent tokens and clusters of the rest, each cluster with a quarter of the features.

    Args:
        input_size: H.
        vocabulary_size: V; tokens must be numbered from the most frequent on.
        cutoffs: where the clusters begin, growing numbers from 1 to V - 1; only those before the first are scored for
            every token.

    Source: Grave, Joulin, Cissé, Grangier and Jégou (2017), arXiv:1609.04309.

    Raises:
        ValueError: cutoffs out of range or order, or so many that the last cluster has no features.
    """

    def __init__(self, input_size: int, vocabulary_size: int, cutoffs: Sequence[int]) -> None:
        super().__init__()
        if input_size < 4 ** len(cutoffs):
            raise ValueError(
                f"{len(cutoffs)} clusters leave no features of {input_size}; they need {4 ** len(cutoffs)}"
            )
        self.clusters = nn.AdaptiveLogSoftmaxWithLoss(input_size, vocabulary_size, list(cutoffs))

    def forward(self, hidden: Float[Tensor, "*B H"]) -> Float[Tensor, "*B V"]:
        """Logarithms of the probabilities."""
        return self.clusters.log_prob(hidden.flatten(0, -2)).unflatten(0, hidden.shape[:-1])

    def cross_entropy(
        self, hidden: Float[Tensor, "B T H"], targets: Int[Tensor, "B T"], *, divisor: float = 1.0
    ) -> Float[Tensor, ""]:
        """As :meth:`Softmax.cross_entropy`."""
        hidden, targets = hidden.flatten(0, 1), targets.flatten()
        first, loss = self.clusters.cutoffs[0], hidden.new_zeros(())
        heads = targets
        for number, (begin, end) in enumerate(pairwise(self.clusters.cutoffs)):
            inside = (begin <= targets) & (targets < end)
            heads = heads.masked_fill(inside, first + number)
            tail: Any = self.clusters.tail[number]
            down, up = tail
            loss = loss + _nats(down(hidden[inside]), up.weight, targets[inside] - begin, divisor)
        return loss + _nats(hidden, self.clusters.head.weight, heads, divisor)


def _nats(hidden: Tensor, weight: Tensor, targets: Tensor, divisor: float) -> Tensor:
    return linear_cross_entropy(hidden, weight, weight.new_zeros(len(weight)), targets, divisor=divisor)
