"""Long short-term memory with forget gates: one step."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.gate import Gate


class LSTMState(NamedTuple):
    """What one step hands to the next: h is also the output of the step, s the memory cells' internal state."""

    h: Float[Tensor, "B H"]
    s: Float[Tensor, "B H"]


class LSTM(nn.Module):
    r"""Memory cells whose internal state the forget gate can empty.

    .. math::
        g &= \phi(W^{gx} x + W^{gh} h' + b_g)    & s &= g \odot i + s' \odot f \\
        i &= \sigma(W^{ix} x + W^{ih} h' + b_i)  & h &= \phi(s) \odot o \\
        f &= \sigma(W^{fx} x + W^{fh} h' + b_f)  \\
        o &= \sigma(W^{ox} x + W^{oh} h' + b_o)

    h', s' are the step before, φ is tanh; many papers write c for s. h lies in (-1, 1).

    Source: review, section 4.1; Gers, Schmidhuber and Cummins (2000), Neural Computation 12(10).

    Args:
        forget_bias: what b_f starts at; above zero the gates start open and the cells remember
            (Jozefowicz, Zaremba and Sutskever 2015).

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.g = Gate(input_size, hidden_size)
        self.i = Gate(input_size, hidden_size)
        self.f = Gate(input_size, hidden_size, bias=forget_bias)
        self.o = Gate(input_size, hidden_size)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for gate in (self.g, self.i, self.f, self.o):
            gate.reset_parameters()

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros."""
        zeros = self.g.b.new_zeros(batch_size, self.hidden_size)
        return LSTMState(h=zeros, s=zeros)

    def forward(self, x: Float[Tensor, "B I"], state: LSTMState) -> tuple[Float[Tensor, "B H"], LSTMState]:
        """One step: h, and the new state."""
        check_step(x, self.input_size, state, self.hidden_size)
        h, s = state
        g = torch.tanh(self.g(x, h))
        i = torch.sigmoid(self.i(x, h))
        f = torch.sigmoid(self.f(x, h))
        o = torch.sigmoid(self.o(x, h))
        s = g * i + s * f
        h = torch.tanh(s) * o
        return h, LSTMState(h, s)
