"""How the scores of hypotheses make up for their length and for what of the source they have left out."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from recurra.recurrence.state import State

Penalty = Callable[[Float[Tensor, " L"]], Float[Tensor, " L"]]
"""From lengths in tokens, the end token included, to what log-probabilities are divided by; above 0."""


def no_penalty(lengths: Float[Tensor, " L"]) -> Float[Tensor, " L"]:
    """The score is the log-probability."""
    return torch.ones_like(lengths)


def per_length(lengths: Float[Tensor, " L"]) -> Float[Tensor, " L"]:
    """The score is the mean log-probability of a token."""
    return lengths


def wu(alpha: float) -> Penalty:
    r""":math:`lp(Y) = (5 + |Y|)^\alpha / 6^\alpha`; 0 is no penalty.

    Source: Wu et al. (2016), arXiv:1609.08144, equation 14.

    Raises:
        ValueError: alpha is negative.
    """
    if not alpha >= 0:
        raise ValueError(f"need alpha >= 0, got {alpha}")
    return lambda lengths: ((5 + lengths) / 6) ** alpha


class Coverage(NamedTuple):
    r""":math:`cp(X; Y) = \beta \sum_i \log \min(\sum_j p_{ij}, 1)`, added to the score of a hypothesis.

    :math:`p_{ij}` is the attention that token j pays to position i of the source. The step leaves it in its state,
    where ``attention`` finds it.

    Attributes:
        beta: 0 or more; Wu et al. use 0.2.
        attention: from the state after a step to the weights ``(R, S)`` of that step.
        lengths: from the state to the sources' lengths ``(R,)``; None if all have S positions.

    Source: Wu et al. (2016), arXiv:1609.08144, equation 14.
    """

    beta: float
    attention: Callable[[State], Tensor]
    lengths: Callable[[State], Tensor] | None = None

    def penalty(self, paid: Float[Tensor, "R S"], state: State) -> Float[Tensor, " R"]:
        """cp, from the attention paid so far; at most 0. A position that got none counts as the smallest number."""
        logs = paid.clamp(min=torch.finfo(paid.dtype).tiny, max=1.0).log()
        if self.lengths is not None:
            positions = torch.arange(paid.shape[1], device=paid.device)
            logs = logs.masked_fill(positions >= self.lengths(state).unsqueeze(1), 0.0)
        return self.beta * logs.sum(1)
