"""Long short-term memory whose gates see the internal state: one step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.gate import Gate
from recurra.cells.lstm import LSTMState


class PeepholeLSTM(nn.Module):
    r"""Memory cells that a gate can look into even while the output gate is shut: they learn to count and to time.

    .. math::
        g &= \phi(W^{gx} x + W^{gh} h' + b_g)                   & s &= g \odot i + s' \odot f \\
        i &= \sigma(W^{ix} x + W^{ih} h' + p_i \odot s' + b_i)  & h &= \phi(s) \odot o \\
        f &= \sigma(W^{fx} x + W^{fh} h' + p_f \odot s' + b_f)  \\
        o &= \sigma(W^{ox} x + W^{oh} h' + p_o \odot s + b_o)

    h', s' are the step before, φ is tanh; the output gate reads the new internal state. h lies in (-1, 1).

    Source: review, section 4.1; Gers and Schmidhuber (2000), Recurrent nets that time and count, IJCNN; with the
    forget gate's peephole as in Gers, Schraudolph and Schmidhuber (2002), JMLR 3.

    Args:
        forget_bias: what b_f starts at; above zero the gates start open and the cells remember.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.g = Gate(input_size, hidden_size)
        self.i = Gate(input_size, hidden_size, peephole=True)
        self.f = Gate(input_size, hidden_size, peephole=True, bias=forget_bias)
        self.o = Gate(input_size, hidden_size, peephole=True)

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
        i = torch.sigmoid(self.i(x, h, s))
        f = torch.sigmoid(self.f(x, h, s))
        s = g * i + s * f
        o = torch.sigmoid(self.o(x, h, s))
        h = torch.tanh(s) * o
        return h, LSTMState(h, s)
