"""Outputs that are copied from what was read."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recurra.models.cross_entropy import IGNORED
from recurra.models.softmax import Softmax

LEAST = 1e-9
"""What is added to a probability before its logarithm: one of 0, of a token that the source has not, stays finite."""


@final
class Pointer(nn.Module):
    r"""Probabilities of tokens from attention to the places of a source that hold them.

    .. math::
        P(y) = g\,\mathrm{softmax}(z)_y + (1 - g) \sum_{i: x_i = y} \alpha_i, \qquad g = \sigma(w^\top \tilde h + b)

    Args:
        input_size: features of :math:`\tilde h`.
        only: g is 0, and all is copied.

    Source: See, Liu and Manning (2017), arXiv:1704.04368, equation 9; with ``only`` Vinyals, Fortunato and Jaitly
    (2015), arXiv:1506.03134.
    """

    def __init__(self, input_size: int, *, only: bool = False) -> None:
        super().__init__()
        self.gate = None if only else nn.Linear(input_size, 1)

    def forward(
        self,
        hidden: Float[Tensor, "B T H"],
        weights: Float[Tensor, "B T S"],
        source: Int[Tensor, "B S"],
        softmax: Softmax,
    ) -> Float[Tensor, "B T V"]:
        """log P of every token.

        Args:
            weights: of attention, 0 behind a row's end.
            source: the token that each place holds, -1 for one that cannot be written; the other places' weights then
                share all of it.
        """
        sizes = *weights.shape[:2], len(softmax.weight)
        weights = _of_tokens(weights, source)
        places = source.clamp(min=0).unsqueeze(1).expand(-1, weights.shape[1], -1)
        copied = weights.new_zeros(sizes).scatter_add(2, places, weights)
        if self.gate is None:
            return (copied + LEAST).log()
        gate = torch.sigmoid(self.gate(hidden))
        return (gate * softmax(hidden).softmax(2) + (1 - gate) * copied + LEAST).log()

    def cross_entropy(
        self,
        hidden: Float[Tensor, "B T H"],
        weights: Float[Tensor, "B T S"],
        source: Int[Tensor, "B S"],
        softmax: Softmax,
        wanted: Int[Tensor, "B T"],
        smoothing: float = 0.0,
    ) -> Float[Tensor, ""]:
        """The sum of -log P of all targets in nats; those of -100 do not count.

        Args:
            smoothing: the part of the sum in whose place the mean of the softmax's -log p over all tokens stands;
                without a softmax it is none.
        """
        counted = wanted != IGNORED
        asked = wanted.masked_fill(~counted, 0).unsqueeze(2)
        copied = (_of_tokens(weights, source) * (source.unsqueeze(1) == asked)).sum(2)
        if self.gate is None:
            return -(copied + LEAST).log()[counted].sum()
        gate = torch.sigmoid(self.gate(hidden)).squeeze(2)
        chances = softmax(hidden).log_softmax(2)
        own = chances.gather(2, asked).squeeze(2).exp()
        exact = -(gate * own + (1 - gate) * copied + LEAST).log()[counted].sum()
        if smoothing == 0:
            return exact
        return (1 - smoothing) * exact - smoothing * chances.mean(2)[counted].sum()


def _of_tokens(weights: Tensor, source: Tensor) -> Tensor:
    own = weights * (source >= 0).unsqueeze(1)
    return own / own.sum(2, keepdim=True).clamp(min=LEAST)
