"""The gated recurrent unit, with either placement of its reset: one step."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.gate import Gate
from recurra.errors import unknown

RESETS = ("after", "before")


class GRUState(NamedTuple):
    """The hidden layer's value, which is also the output of the step."""

    h: Float[Tensor, "B H"]


class GRU(nn.Module):
    r"""Units that decide how much of their past to keep, without an internal state of their own.

    .. math::
        r &= \sigma(W^{rx} x + W^{rh} h' + b_r) \\
        z &= \sigma(W^{zx} x + W^{zh} h' + b_z) \\
        g &= \phi(W^{gx} x + b_g + r \odot (W^{gh} h' + b_{gh}))  & \text{reset after} \\
        g &= \phi(W^{gx} x + W^{gh} (r \odot h') + b_g)           & \text{reset before} \\
        h &= g \odot (1 - z) + h' \odot z

    h' is the step before, φ is tanh. r is the reset gate, z the update gate; g, the review's input node, is the papers'
    candidate h̃ (torch.nn's n). z keeps the past, as in Cho 2014 and torch.nn; Chung 2014 swaps z and 1 - z.

    Source: Cho et al. (2014), arXiv:1406.1078, reset before the product; reset after it, as torch.nn and cuDNN
    compute it, with a bias b_gh of its own.

    Args:
        reset: "after" or "before" the product with W_gh.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
        BadInput: an unknown placement of the reset.
    """

    def __init__(self, input_size: int, hidden_size: int, *, reset: str = "after") -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        if reset not in RESETS:
            raise unknown("reset", reset, RESETS)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.r = Gate(input_size, hidden_size)
        self.z = Gate(input_size, hidden_size)
        self.g = Gate(input_size, hidden_size)
        self.b_gh = nn.Parameter(torch.zeros(hidden_size)) if reset == "after" else None

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for gate in (self.r, self.z, self.g):
            gate.reset_parameters()
        if self.b_gh is not None:
            nn.init.zeros_(self.b_gh)

    def initial_state(self, batch_size: int) -> GRUState:
        """Zeros."""
        return GRUState(self.g.b.new_zeros(batch_size, self.hidden_size))

    def forward(self, x: Float[Tensor, "B I"], state: GRUState) -> tuple[Float[Tensor, "B H"], GRUState]:
        """One step: h, twice."""
        check_step(x, self.input_size, state, self.hidden_size)
        (h,) = state
        r = torch.sigmoid(self.r(x, h))
        z = torch.sigmoid(self.z(x, h))
        if self.b_gh is None:
            g = torch.tanh(self.g(x, r * h))
        else:
            g = torch.tanh(F.linear(x, self.g.W_x, self.g.b) + r * F.linear(h, self.g.W_h, self.b_gh))
        h = g * (1 - z) + h * z
        return h, GRUState(h)
