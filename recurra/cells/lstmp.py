"""Long short-term memory that reads back a projection of its hidden layer: one step."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.gate import Gate


class LSTMPState(NamedTuple):
    """What one step hands to the next: h, the projection, is also its output; s the memory cells' internal state."""

    h: Float[Tensor, "B P"]
    s: Float[Tensor, "B H"]


class LSTMP(nn.Module):
    r"""Many memory cells with few weights: gates and layers above see fewer units than there are cells.

    .. math::
        g &= \phi(W^{gx} x + W^{gh} h' + b_g)    & s &= g \odot i + s' \odot f \\
        i &= \sigma(W^{ix} x + W^{ih} h' + b_i)  & h &= W^{hm} (\phi(s) \odot o) \\
        f &= \sigma(W^{fx} x + W^{fh} h' + b_f)  \\
        o &= \sigma(W^{ox} x + W^{oh} h' + b_o)

    h', s' are the step before, φ is tanh. The paper writes m for φ(s) ⊙ o and r for its projection, which is h here.
    Without the paper's peepholes and second, non-recurrent projection it is ``torch.nn.LSTM`` with ``proj_size``.

    Source: Sak, Senior and Beaufays (2014), arXiv:1402.1128, section 2.

    Args:
        hidden_size: H, the memory cells.
        projection_size: P, the features of h and of the output; half of H, rounded up, where it is not given.
        forget_bias: what b_f starts at; above zero the gates start open and the cells remember.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, projection_size: int | None = None, forget_bias: float = 1.0
    ) -> None:
        super().__init__()
        projection_size = (hidden_size + 1) // 2 if projection_size is None else projection_size
        check_sizes(input_size=input_size, hidden_size=hidden_size, projection_size=projection_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, projection_size
        self.g = Gate(input_size, hidden_size, recurrent_size=projection_size)
        self.i = Gate(input_size, hidden_size, recurrent_size=projection_size)
        self.f = Gate(input_size, hidden_size, recurrent_size=projection_size, bias=forget_bias)
        self.o = Gate(input_size, hidden_size, recurrent_size=projection_size)
        self.W_hm = nn.Parameter(torch.empty(projection_size, hidden_size))
        self._reset_projection()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for gate in (self.g, self.i, self.f, self.o):
            gate.reset_parameters()
        self._reset_projection()

    def initial_state(self, batch_size: int) -> LSTMPState:
        """Zeros."""
        return LSTMPState(
            h=self.W_hm.new_zeros(batch_size, self.output_size), s=self.W_hm.new_zeros(batch_size, self.hidden_size)
        )

    def forward(self, x: Float[Tensor, "B I"], state: LSTMPState) -> tuple[Float[Tensor, "B P"], LSTMPState]:
        """One step: h, and the new state."""
        check_step(x, self.input_size, state, self.output_size, self.hidden_size)
        h, s = state
        g = torch.tanh(self.g(x, h))
        i = torch.sigmoid(self.i(x, h))
        f = torch.sigmoid(self.f(x, h))
        o = torch.sigmoid(self.o(x, h))
        s = g * i + s * f
        h = F.linear(torch.tanh(s) * o, self.W_hm)
        return h, LSTMPState(h, s)

    def _reset_projection(self) -> None:
        bound = self.hidden_size**-0.5
        nn.init.uniform_(self.W_hm, -bound, bound)
