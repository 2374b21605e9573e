"""Long short-term memory with normalised drives: one step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.lstm import LSTMState


class LayerNormLSTM(nn.Module):
    r"""Memory cells whose drives are brought to mean zero and variance one over the units, at every step anew.

    .. math::
        (g, i, f, o) &= \mathrm{LN}_x(W^x x) + \mathrm{LN}_h(W^h h') + b \\
        s &= \phi(g) \odot \sigma(i) + s' \odot \sigma(f) \\
        h &= \phi(\mathrm{LN}_s(s)) \odot \sigma(o)

    h', s' are the step before, φ is tanh. LN_x and LN_h take the mean and variance of the four stacked drives together
    and have a gain for each; of the paper's three biases on their sum, which add up, there is b alone. LN_s has a gain
    and a bias. h lies in (-1, 1).

    Source: Ba, Kiros and Hinton (2016), Layer normalization, arXiv:1607.06450, supplementary material.

    Args:
        forget_bias: what the part of b that drives f starts at; above zero the cells remember.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.forget_bias = forget_bias
        self.W_x = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.W_h = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.b = nn.Parameter(torch.empty(4 * hidden_size))
        self.norm_x = nn.LayerNorm(4 * hidden_size, bias=False)
        self.norm_h = nn.LayerNorm(4 * hidden_size, bias=False)
        self.norm_s = nn.LayerNorm(hidden_size)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the weights anew; gains become one and biases zero, but those of the forget gates."""
        bound = self.hidden_size**-0.5
        nn.init.uniform_(self.W_x, -bound, bound)
        nn.init.uniform_(self.W_h, -bound, bound)
        nn.init.zeros_(self.b)
        _, _, b_f, _ = self.b.chunk(4)
        nn.init.constant_(b_f, self.forget_bias)
        for norm in (self.norm_x, self.norm_h, self.norm_s):
            norm.reset_parameters()

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros."""
        zeros = self.b.new_zeros(batch_size, self.hidden_size)
        return LSTMState(h=zeros, s=zeros)

    def forward(self, x: Float[Tensor, "B I"], state: LSTMState) -> tuple[Float[Tensor, "B H"], LSTMState]:
        """One step: h, and the new state."""
        check_step(x, self.input_size, state, self.hidden_size)
        h, s = state
        drives = self.norm_x(F.linear(x, self.W_x)) + self.norm_h(F.linear(h, self.W_h)) + self.b
        g, i, f, o = drives.chunk(4, dim=-1)
        s = torch.tanh(g) * torch.sigmoid(i) + s * torch.sigmoid(f)
        h = torch.tanh(self.norm_s(s)) * torch.sigmoid(o)
        return h, LSTMState(h, s)
