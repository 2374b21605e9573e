"""The continuous Hopfield network: an associative memory of real patterns, whose update is attention."""

from collections.abc import Iterator
from itertools import pairwise
from math import log
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

MOST_UPDATES = 1000
"""Between patterns that are alike the energy may fall ever more slowly."""

STILL = 1e-5
"""A state whose every value moves by less than this part of the patterns' largest value has come to rest."""


class ContinuousRecall(NamedTuple):
    """What cues came to.

    Args:
        states: the last ones.
        updates: how many moved it before it rested.
    """

    states: Float[Tensor, "B N"]
    updates: Int[Tensor, " B"]


@final
class ModernHopfield(nn.Module):
    r"""Real states :math:`\xi` that move to the stored patterns, the rows of X, that they are most like.

    .. math::
        \xi \leftarrow X^\top \mathrm{softmax}(\beta X \xi), \qquad
        E = \tfrac12 \xi^\top \xi - \beta^{-1} \log \sum_\mu e^{\beta x_\mu^\top \xi}
            + \beta^{-1} \log P + \tfrac12 M^2

    with M the largest norm of a pattern. The update is one of attention with keys and values X, queries :math:`\xi` and
    scale :math:`\beta`. For patterns far enough apart one update is enough, and their number may grow exponentially
    with N. Where :math:`\beta` is too small for the patterns, states settle at means of several.

    Args:
        patterns: X.
        beta: inverse temperature.

    Raises:
        ValueError: no pattern, or beta is not above 0.

    Source: Ramsauer et al. (2020), arXiv:2008.02217.
    """

    patterns: Tensor

    def __init__(self, patterns: Float[Tensor, "P N"], beta: float) -> None:
        super().__init__()
        if not len(patterns) or not beta > 0:
            raise ValueError(f"needs patterns and a beta above 0, got {len(patterns)} and {beta}")
        self.beta = beta
        self.register_buffer("patterns", patterns.clone())

    def energy(self, states: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """E of each row; at least 0, and 0 where all patterns are one and the state is it."""
        likeness = (self.beta * states @ self.patterns.T).logsumexp(1)
        largest = self.patterns.square().sum(1).max()
        return (log(len(self.patterns)) - likeness) / self.beta + 0.5 * (states.square().sum(1) + largest)

    def weights(self, states: Float[Tensor, "B N"]) -> Float[Tensor, "B P"]:
        """How much of each pattern the next state of each row is made of; they sum to 1."""
        return (self.beta * states @ self.patterns.T).softmax(1)

    def forward(self, states: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """The states after one update."""
        return self.weights(states) @ self.patterns

    def recall(self, cues: Float[Tensor, "B N"]) -> ContinuousRecall:
        """Update each cue until it rests; see :meth:`trajectory`."""
        states = cues
        updates = torch.zeros(len(cues), dtype=torch.long, device=cues.device)
        for old, states in pairwise(self.trajectory(cues)):
            updates += self._moved(old, states)
        return ContinuousRecall(states, updates)

    def trajectory(self, cues: Float[Tensor, "B N"]) -> Iterator[Float[Tensor, "B N"]]:
        """The cues, then their states after every update, until all rest; 1000 updates at most."""
        yield cues
        states = cues
        for _ in range(MOST_UPDATES):
            old, states = states, self(states)
            if not bool(self._moved(old, states).any()):
                return
            yield states

    def _moved(self, old: Tensor, new: Tensor) -> Tensor:
        return (new - old).abs().amax(1) > STILL * self.patterns.abs().max()
