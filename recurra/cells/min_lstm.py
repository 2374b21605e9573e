"""The minimal long short-term memory: one step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.elman import ElmanState


class MinLSTM(nn.Module):
    r"""An LSTM whose gates and input node see the input alone, its two gates shares of one whole.

    .. math::
        f &= \sigma(W^{fx} x + b_f)  & k &= f / (f + i) = \sigma(\log f - \log i) \\
        i &= \sigma(W^{ix} x + b_i)  & h &= k \odot h' + (1 - k) \odot g \\
        g &= W^{gx} x + b_g

    h' is the step before; g is the paper's candidate h̃, k and 1 - k its normalised gates f' and i'. There is neither
    output gate nor internal state. k is computed in the second way, which no pair of shut gates turns into 0 / 0. This
    is the paper's plain form, not the one in log-space, whose candidates are positive.

    Source: Feng et al. (2024), Were RNNs all we needed?, arXiv:2410.01201, section 3.2.

    Args:
        forget_bias: what b_f starts at; above zero the gates start open and the cells remember.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.forget_bias = forget_bias
        self.f = nn.Linear(input_size, hidden_size)
        self.i = nn.Linear(input_size, hidden_size)
        self.g = nn.Linear(input_size, hidden_size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for linear in (self.f, self.i, self.g):
            linear.reset_parameters()
        nn.init.constant_(self.f.bias, self.forget_bias)

    def initial_state(self, batch_size: int) -> ElmanState:
        """Zeros."""
        return ElmanState(self.g.bias.new_zeros(batch_size, self.hidden_size))

    def forward(self, x: Float[Tensor, "B I"], state: ElmanState) -> tuple[Float[Tensor, "B H"], ElmanState]:
        """One step: h, twice."""
        check_step(x, self.input_size, state, self.hidden_size)
        (h,) = state
        k = torch.sigmoid(F.logsigmoid(self.f(x)) - F.logsigmoid(self.i(x)))
        g = self.g(x)
        h = k * h + (1 - k) * g
        return h, ElmanState(h)
