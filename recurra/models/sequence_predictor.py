"""A recurrent network that answers a sequence of vectors with numbers: at every step, or at its end."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from recurra.layers.pooling import LastPooling
from recurra.recurrence.state import State


class SequencePredictor(nn.Module):
    r"""Recurrent layers and a linear readout, whose outputs are what a loss takes: no softmax, no sigmoid.

    .. math:: \hat{y}^{(t)} = W^{yh} h^{(t)} + b_y

    Args:
        layers: a :class:`Stack`, a :class:`Recurrent`, or what is called like one.
        size: H, features of its outputs.
        outputs: K.
        ends: read out the last step of each sequence alone.

    Attributes:
        lag: of the examples that it is trained on, where a curriculum lets them grow; a buffer, so that a run that goes
            on knows where it stood. 0 before the first.
    """

    lag: Tensor

    def __init__(self, layers: nn.Module, size: int, outputs: int, *, ends: bool) -> None:
        super().__init__()
        self.layers = layers
        self.output = nn.Linear(size, outputs)
        self.pooling = LastPooling() if ends else None
        self.register_buffer("lag", torch.zeros((), dtype=torch.long))

    def initial_state(self, batch_size: int) -> State:
        """The state of ``batch_size`` sequences before their first step."""
        layers: Any = self.layers
        return layers.initial_state(batch_size)

    def forward(
        self, x: Float[Tensor, "B T I"], lengths: Int[Tensor, " B"] | None = None, state: State | None = None
    ) -> Float[Tensor, "B S K"]:
        """The outputs of every step (S is T), anything behind a sequence's end; or of the last alone (S is 1).

        Args:
            lengths: steps of each sequence, at least 1; all of them where they are not given.
            state: where each begins; the initial state where it is not given.
        """
        h, _ = self.layers(x, state, lengths=lengths)
        if self.pooling is not None:
            h = self.pooling(h, lengths).unsqueeze(1)
        return self.output(h)
