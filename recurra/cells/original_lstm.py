"""The original long short-term memory, which cannot forget: one step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.cells.activation import activation as named_activation
from recurra.cells.checks import check_sizes, check_step
from recurra.cells.gate import Gate
from recurra.cells.lstm import LSTMState


class OriginalLSTM(nn.Module):
    r"""Memory cells around the constant error carousel: a unit that feeds itself with a fixed weight of one.

    .. math::
        g &= \phi_g(W^{gx} x + W^{gh} h' + b_g)  & s &= g \odot i + s' \\
        i &= \sigma(W^{ix} x + W^{ih} h' + b_i)  & h &= \phi_s(s) \odot o \\
        o &= \sigma(W^{ox} x + W^{oh} h' + b_o)

    h', s' are the step before. s can grow without bound: forget gates (``LSTM``) came to mend that. The paper stretches
    its logistic functions to (-2, 2) for g and (-1, 1) for s, and cuts the gradient where a step's h enters the next;
    here it flows everywhere.

    Source: review, section 4.1; Hochreiter and Schmidhuber (1997), Neural Computation 9(8).

    Args:
        input_activation: φ_g: "tanh", or "sigmoid" as the review has the original, or any other activation.
        output_activation: φ_s, likewise: "tanh", or "identity" to leave it out.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
        BadInput: an unknown activation.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, input_activation: str = "tanh", output_activation: str = "tanh"
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self._phi_g, self._phi_s = named_activation(input_activation), named_activation(output_activation)
        self.g = Gate(input_size, hidden_size)
        self.i = Gate(input_size, hidden_size)
        self.o = Gate(input_size, hidden_size)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for gate in (self.g, self.i, self.o):
            gate.reset_parameters()

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros."""
        zeros = self.g.b.new_zeros(batch_size, self.hidden_size)
        return LSTMState(h=zeros, s=zeros)

    def forward(self, x: Float[Tensor, "B I"], state: LSTMState) -> tuple[Float[Tensor, "B H"], LSTMState]:
        """One step: h, and the new state."""
        check_step(x, self.input_size, state, self.hidden_size)
        h, s = state
        g = self._phi_g(self.g(x, h))
        i = torch.sigmoid(self.i(x, h))
        o = torch.sigmoid(self.o(x, h))
        s = g * i + s
        h = self._phi_s(s) * o
        return h, LSTMState(h, s)
