"""The simple recurrent unit: one step."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.cells.checks import check_sizes, check_step


class SRUState(NamedTuple):
    """The internal state."""

    c: Float[Tensor, "B H"]


class SRU(nn.Module):
    r"""A forgetting average of the input and a highway past it, with no matrix between one step and the next.

    .. math::
        f &= \sigma(W^{fx} x + v_f \odot c' + b_f)  & c &= f \odot c' + (1 - f) \odot (W^{gx} x) \\
        r &= \sigma(W^{rx} x + v_r \odot c' + b_r)  & h &= r \odot c + (1 - r) \odot \alpha \tilde x

    c' is the step before. x̃ is x, or W^{hx} x where x has not as many features as there are units;
    α = √(1 + 2 exp(b_r)), of b_r's start, keeps the variance of h that of x in deep stacks of new weights.

    Source: Lei, Zhang, Wang, Dai and Artzi (2018), arXiv:1709.02755, equations 1 to 4 and section 3.2.

    Args:
        highway_bias: what b_r starts at; below zero most of x goes straight to h.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
    """

    def __init__(self, input_size: int, hidden_size: int, *, highway_bias: float = 0.0) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.highway_bias = highway_bias
        self.alpha = math.sqrt(1 + 2 * math.exp(highway_bias))
        self.g = nn.Linear(input_size, hidden_size, bias=False)
        self.f = nn.Linear(input_size, hidden_size)
        self.r = nn.Linear(input_size, hidden_size)
        self.v_f = nn.Parameter(torch.empty(hidden_size))
        self.v_r = nn.Parameter(torch.empty(hidden_size))
        self.h = nn.Linear(input_size, hidden_size, bias=False) if input_size != hidden_size else nn.Identity()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew, so that W x has the variance of x."""
        bound = math.sqrt(3 / self.input_size)
        for linear in (self.g, self.f, self.r, self.h):
            if isinstance(linear, nn.Linear):
                nn.init.uniform_(linear.weight, -bound, bound)
        for v in (self.v_f, self.v_r):
            nn.init.uniform_(v, -(self.hidden_size**-0.5), self.hidden_size**-0.5)
        nn.init.zeros_(self.f.bias)
        nn.init.constant_(self.r.bias, self.highway_bias)

    def initial_state(self, batch_size: int) -> SRUState:
        """Zeros."""
        return SRUState(self.v_f.new_zeros(batch_size, self.hidden_size))

    def forward(self, x: Float[Tensor, "B I"], state: SRUState) -> tuple[Float[Tensor, "B H"], SRUState]:
        """One step: h, and the internal state."""
        check_step(x, self.input_size, state, self.hidden_size)
        (c,) = state
        f = torch.sigmoid(self.f(x) + self.v_f * c)
        r = torch.sigmoid(self.r(x) + self.v_r * c)
        c = f * c + (1 - f) * self.g(x)
        h = r * c + (1 - r) * (self.alpha * self.h(x))
        return h, SRUState(c)
