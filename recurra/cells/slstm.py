"""The scalar LSTM of xLSTM, with exponential gates: one step."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.gate import Gate


class SLSTMState(NamedTuple):
    """What one step hands to the next: h, the output; c and n in units of exp(m)."""

    h: Float[Tensor, "B H"]
    c: Float[Tensor, "B H"]
    n: Float[Tensor, "B H"]
    m: Float[Tensor, "B H"]


class SLSTM(nn.Module):
    r"""Memory cells that hold a weighted mean of their inputs; a weight is exponential, so a late one can outdo all.

    .. math::
        g &= \phi(W^{gx} x + W^{gh} h' + b_g)              & i &= \exp(\hat\imath - m) \\
        \hat\imath &= W^{ix} x + W^{ih} h' + b_i           & f &= \exp(\hat f + m' - m) \\
        \hat f &= \log \sigma(W^{fx} x + W^{fh} h' + b_f)  & c &= f \odot c' + i \odot g \\
        o &= \sigma(W^{ox} x + W^{oh} h' + b_o)            & n &= f \odot n' + i \\
        m &= \max(\hat f + m', \hat\imath)                 & h &= o \odot c / n

    h', c', n', m' are the step before, φ is tanh; the paper writes z for g. The stabiliser m cancels in c / n: it keeps
    every exponential at or below one. Of the paper's two forget gates this is the sigmoid. Recurrent weights are dense:
    one head. h lies in (-1, 1).

    Source: Beck et al. (2024), xLSTM, arXiv:2405.04517, section 2.2, equations 8 to 17.

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
        self.i = Gate(input_size, hidden_size)
        self.f = Gate(input_size, hidden_size, bias=forget_bias)
        self.o = Gate(input_size, hidden_size)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for gate in (self.g, self.i, self.f, self.o):
            gate.reset_parameters()

    def initial_state(self, batch_size: int) -> SLSTMState:
        """Zeros, and m the lowest of numbers, next to which the first input weighs everything, whatever its gate."""
        zeros = self.g.b.new_zeros(batch_size, self.hidden_size)
        return SLSTMState(h=zeros, c=zeros, n=zeros, m=torch.full_like(zeros, torch.finfo(zeros.dtype).min))

    def forward(self, x: Float[Tensor, "B I"], state: SLSTMState) -> tuple[Float[Tensor, "B H"], SLSTMState]:
        """One step: h, and the new state."""
        check_step(x, self.input_size, state, self.hidden_size)
        h, c, n, m = state
        g = torch.tanh(self.g(x, h))
        log_i = self.i(x, h)
        log_f = F.logsigmoid(self.f(x, h)) + m
        o = torch.sigmoid(self.o(x, h))
        m = torch.maximum(log_f, log_i)
        i, f = torch.exp(log_i - m), torch.exp(log_f - m)
        c = f * c + i * g
        n = f * n + i
        h = o * c / n
        return h, SLSTMState(h, c, n, m)
