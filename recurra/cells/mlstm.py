"""The matrix LSTM of xLSTM, an associative memory: one step."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.checks import check_sizes, check_step


class MLSTMState(NamedTuple):
    """What one step hands to the next: the memory C and the sum n of its keys, in units of exp(m)."""

    C: Float[Tensor, "B H H"]
    n: Float[Tensor, "B H"]
    m: Float[Tensor, "B 1"]


class MLSTM(nn.Module):
    r"""A memory that stores values under keys and is asked by queries, with one input and one forget gate for it all.

    .. math::
        q &= W^{qx} x + b_q                        & m &= \max(\hat f + m', \hat\imath, 0) \\
        k &= (W^{kx} x + b_k) / \sqrt H            & i &= \exp(\hat\imath - m), \quad f = \exp(\hat f + m' - m) \\
        v &= W^{vx} x + b_v                        & C &= f C' + i v k^\top \\
        \hat\imath &= w^{ix} x + b_i               & n &= f n' + i k \\
        \hat f &= \log \sigma(w^{fx} x + b_f)      & h &= o \odot C q / \max(|n^\top q|, \exp(-m)) \\
        o &= \sigma(W^{ox} x + b_o)

    C', n', m' are the step before. The stabiliser m cancels: h is what m = 0 gives, where the bound is the paper's 1.
    The paper's m has no 0 in its maximum; with it exp(-m) cannot overflow either. Of the paper's two forget gates this
    is the sigmoid. There is one head; the state takes H² + H + 1 numbers a row.

    Source: Beck et al. (2024), xLSTM, arXiv:2405.04517, section 2.3, equations 19 to 27.

    Args:
        forget_bias: what b_f starts at; above zero the gate starts open and the memory lasts.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 3.0) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.forget_bias = forget_bias
        self.q, self.k, self.v, self.o = (nn.Linear(input_size, hidden_size) for _ in range(4))
        self.i, self.f = (nn.Linear(input_size, 1) for _ in range(2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for linear in (self.q, self.k, self.v, self.o, self.i, self.f):
            linear.reset_parameters()
        nn.init.constant_(self.f.bias, self.forget_bias)

    def initial_state(self, batch_size: int) -> MLSTMState:
        """Zeros."""
        zeros, H = self.q.bias.new_zeros, self.hidden_size
        return MLSTMState(C=zeros(batch_size, H, H), n=zeros(batch_size, H), m=zeros(batch_size, 1))

    def forward(self, x: Float[Tensor, "B I"], state: MLSTMState) -> tuple[Float[Tensor, "B H"], MLSTMState]:
        """One step: h, and the new state."""
        check_step(x, self.input_size, state, (self.hidden_size, self.hidden_size), self.hidden_size, 1)
        C, n, m = state
        q, k, v = self.q(x), self.k(x) * self.hidden_size**-0.5, self.v(x)
        log_i = self.i(x)
        log_f = F.logsigmoid(self.f(x)) + m
        o = torch.sigmoid(self.o(x))
        m = torch.relu(torch.maximum(log_f, log_i))
        i, f = torch.exp(log_i - m), torch.exp(log_f - m)
        C = f.unsqueeze(-1) * C + i.unsqueeze(-1) * (v.unsqueeze(-1) * k.unsqueeze(-2))
        n = f * n + i * k
        norm = torch.maximum((n * q).sum(-1, keepdim=True).abs(), torch.exp(-m))
        h = o * (C @ q.unsqueeze(-1)).squeeze(-1) / norm
        return h, MLSTMState(C, n, m)
