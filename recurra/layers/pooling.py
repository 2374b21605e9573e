"""One vector from the outputs of a whole sequence, or of what has been seen of it so far."""

from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recurra.recurrence.ragged import blank_padding, within


class LastState(NamedTuple):
    """The outputs of the last step."""

    last: Float[Tensor, "B F"]


@final
class LastPooling(nn.Module):
    """Where each direction stood after its last step.

    Args:
        backward: of the features, how many at the end come from layers that read from the end: their last step is the
            row's first. With any there is no ``step``.
    """

    def __init__(self, backward: int = 0) -> None:
        super().__init__()
        self.backward = backward

    def forward(
        self, outputs: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B F"]:
        """Of each row; a row has at least one step."""
        ahead = outputs.shape[2] - self.backward
        if lengths is None:
            last = outputs[:, -1, :ahead]
        else:
            last = outputs[torch.arange(len(outputs), device=outputs.device), lengths - 1, :ahead]
        return torch.cat([last, outputs[:, 0, ahead:]], dim=1)

    def step(
        self, outputs: Float[Tensor, "B F"], state: LastState | None = None
    ) -> tuple[Float[Tensor, "B F"], LastState]:
        """What has been seen, one step more included, and the state to go on from; None before the first step."""
        if self.backward:
            raise ValueError("layers that read a sequence from its end as well cannot be pooled step by step")
        return outputs, LastState(outputs)


class MeanState(NamedTuple):
    """The mean of the outputs so far, and of how many steps it is."""

    mean: Float[Tensor, "B F"]
    steps: Float[Tensor, ""]


@final
class MeanPooling(nn.Module):
    """The mean over a row's own steps."""

    def forward(
        self, outputs: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B F"]:
        """Of each row; a row has at least one step."""
        if lengths is None:
            return outputs.mean(1)
        return blank_padding(outputs, lengths).sum(1) / lengths.unsqueeze(1)

    def step(
        self, outputs: Float[Tensor, "B F"], state: MeanState | None = None
    ) -> tuple[Float[Tensor, "B F"], MeanState]:
        """What has been seen, one step more included, and the state to go on from; None before the first step."""
        if state is None:
            state = MeanState(torch.zeros_like(outputs), outputs.new_zeros(()))
        steps = state.steps + 1
        mean = state.mean + (outputs - state.mean) / steps
        return mean, MeanState(mean, steps)


class MaxState(NamedTuple):
    """The largest output of each feature so far."""

    largest: Float[Tensor, "B F"]


@final
class MaxPooling(nn.Module):
    """The largest value of each feature over a row's own steps.

    Source: Collobert et al. (2011), JMLR 12; over a bidirectional LSTM, Conneau et al. (2017), arXiv:1705.02364.
    """

    def forward(
        self, outputs: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B F"]:
        """Of each row; a row has at least one step."""
        if lengths is not None:
            outputs = outputs.masked_fill(~within(lengths, outputs.shape[1]).unsqueeze(2), -torch.inf)
        return outputs.amax(1)

    def step(
        self, outputs: Float[Tensor, "B F"], state: MaxState | None = None
    ) -> tuple[Float[Tensor, "B F"], MaxState]:
        """What has been seen, one step more included, and the state to go on from; None before the first step."""
        largest = outputs if state is None else torch.maximum(state.largest, outputs)
        return largest, MaxState(largest)


class AttentionState(NamedTuple):
    """The weighted mean so far, and the logarithm of the sum of its weights."""

    mean: Float[Tensor, "B F"]
    weight: Float[Tensor, " B"]


@final
class AttentionPooling(nn.Module):
    r"""A mean over a row's own steps, weighted by how well each answers a learnt query q.

    .. math::
        s_t = q^\top \tanh(W h_t + b), \qquad \alpha = \mathrm{softmax}(s_1 \dots s_T), \qquad \sum_t \alpha_t h_t

    Args:
        features: F of the outputs h.
        size: A, features of the query.

    Source: Yang et al. (2016), NAACL, section 2.2; with several queries, Lin et al. (2017), arXiv:1703.03130.
    """

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.keys = nn.Linear(features, size)
        self.query = nn.Linear(size, 1, bias=False)

    def weights(
        self, outputs: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T"]:
        """How much each step counts; 0 behind a row's end."""
        scores = self._scores(outputs)
        if lengths is not None:
            scores = scores.masked_fill(~within(lengths, outputs.shape[1]), -torch.inf)
        return scores.softmax(1)

    def forward(
        self, outputs: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B F"]:
        """Of each row; a row has at least one step."""
        weights = self.weights(outputs, lengths)
        return (weights.unsqueeze(1) @ blank_padding(outputs, lengths)).squeeze(1)

    def step(
        self, outputs: Float[Tensor, "B F"], state: AttentionState | None = None
    ) -> tuple[Float[Tensor, "B F"], AttentionState]:
        """What has been seen, one step more included, and the state to go on from; None before the first step."""
        scores = self._scores(outputs)
        if state is None:
            return outputs, AttentionState(outputs, scores)
        weight = torch.logaddexp(state.weight, scores)
        new = (scores - weight).exp().unsqueeze(1)
        mean = (1 - new) * state.mean + new * outputs
        return mean, AttentionState(mean, weight)

    def _scores(self, outputs: Float[Tensor, "*B F"]) -> Float[Tensor, "*B"]:
        return self.query(torch.tanh(self.keys(outputs))).squeeze(-1)


Pooling = LastPooling | MeanPooling | MaxPooling | AttentionPooling
PoolingState = LastState | MeanState | MaxState | AttentionState
