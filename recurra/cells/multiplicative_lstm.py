"""Long short-term memory with another recurrent matrix for each input: one step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.gate import Gate
from recurra.cells.lstm import LSTMState


class MultiplicativeLSTM(nn.Module):
    r"""Memory cells that see the hidden layer through a product with the input, so that each input has its own way on.

    .. math::
        m &= (W^{mx} x) \odot (W^{mh} h') \\
        g &= \phi(W^{gx} x + W^{gm} m + b_g)    & s &= g \odot i + s' \odot f \\
        i &= \sigma(W^{ix} x + W^{im} m + b_i)  & h &= \phi(s) \odot o \\
        f &= \sigma(W^{fx} x + W^{fm} m + b_f)  \\
        o &= \sigma(W^{ox} x + W^{om} m + b_o)

    h', s' are the step before, φ is tanh. In the code the W^{gm} are the gates' ``W_h``. The LSTM around m is ``LSTM``;
    some implementations put its output gate inside the last φ. h lies in (-1, 1).

    Source: Krause, Lu, Murray and Renals (2016), arXiv:1609.07959.

    Args:
        forget_bias: what b_f starts at; above zero the gates start open and the cells remember.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.W_mx = nn.Parameter(torch.empty(hidden_size, input_size))
        self.W_mh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.g = Gate(input_size, hidden_size)
        self.i = Gate(input_size, hidden_size)
        self.f = Gate(input_size, hidden_size, bias=forget_bias)
        self.o = Gate(input_size, hidden_size)
        self._reset_product()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for gate in (self.g, self.i, self.f, self.o):
            gate.reset_parameters()
        self._reset_product()

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros."""
        zeros = self.g.b.new_zeros(batch_size, self.hidden_size)
        return LSTMState(h=zeros, s=zeros)

    def forward(self, x: Float[Tensor, "B I"], state: LSTMState) -> tuple[Float[Tensor, "B H"], LSTMState]:
        """One step: h, and the new state."""
        check_step(x, self.input_size, state, self.hidden_size)
        h, s = state
        m = F.linear(x, self.W_mx) * F.linear(h, self.W_mh)
        g = torch.tanh(self.g(x, m))
        i = torch.sigmoid(self.i(x, m))
        f = torch.sigmoid(self.f(x, m))
        o = torch.sigmoid(self.o(x, m))
        s = g * i + s * f
        h = torch.tanh(s) * o
        return h, LSTMState(h, s)

    def _reset_product(self) -> None:
        bound = self.hidden_size**-0.5
        nn.init.uniform_(self.W_mx, -bound, bound)
        nn.init.uniform_(self.W_mh, -bound, bound)
