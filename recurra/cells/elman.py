"""Elman's simple recurrent network: one step."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from recurra.cells.activation import activation as named_activation
from recurra.cells.checks import check_sizes, check_step
from recurra.cells.gate import Gate


class ElmanState(NamedTuple):
    """The hidden layer's value, which is also the output of the step."""

    h: Float[Tensor, "B H"]


class Elman(nn.Module):
    r"""Each hidden unit sees the input and the whole hidden layer of the step before.

    .. math::
        h = \phi(W^{hx} x + W^{hh} h' + b_h)

    h' is the step before: Elman's context units, which copy the hidden layer with a fixed weight of one. He used σ.

    Source: review, section 3.1; Elman (1990), Cognitive Science 14(2).

    Args:
        activation: φ: "tanh", "sigmoid", "relu" or "identity".

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
        BadInput: an unknown activation.
    """

    def __init__(self, input_size: int, hidden_size: int, *, activation: str = "tanh") -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.activation = activation
        self._phi = named_activation(activation)
        self.h = Gate(input_size, hidden_size)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        self.h.reset_parameters()

    def initial_state(self, batch_size: int) -> ElmanState:
        """Zeros."""
        return ElmanState(self.h.b.new_zeros(batch_size, self.hidden_size))

    def forward(self, x: Float[Tensor, "B I"], state: ElmanState) -> tuple[Float[Tensor, "B H"], ElmanState]:
        """One step: h, twice."""
        check_step(x, self.input_size, state, self.hidden_size)
        (h,) = state
        h = self._phi(self.h(x, h))
        return h, ElmanState(h)
