"""The recurrent highway network: one step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.elman import ElmanState
from recurra.cells.gate import Gate


class Inner(nn.Module):
    """W_h h + b: what drives a unit of a layer that does not see the input. Starts as a ``Gate`` does."""

    def __init__(self, hidden_size: int, *, bias: float = 0.0) -> None:
        super().__init__()
        self.bias = bias
        self.W_h = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.b = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        bound = self.b.numel() ** -0.5
        nn.init.uniform_(self.W_h, -bound, bound)
        nn.init.constant_(self.b, self.bias)

    def forward(self, h: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        """The drive of one layer."""
        return F.linear(h, self.W_h, self.b)


class RecurrentHighway(nn.Module):
    r"""Several layers between one step and the next, each of which changes only what its gate lets it.

    .. math::
        g_l &= \phi([W^{gx} x] + W^{gh}_l h_{l-1} + b_{g,l}) \\
        t_l &= \sigma([W^{tx} x] + W^{th}_l h_{l-1} + b_{t,l}) \\
        h_l &= g_l \odot t_l + h_{l-1} \odot (1 - t_l)

    for the layers l = 1 to ``depth``; h_0 is the step before, h the last layer's; x is seen where l = 1. φ is tanh. The
    paper writes s_l for h_l and h_l for g_l; its carry gate is 1 - t here, as in its experiments.

    Source: Zilly, Srivastava, Koutník and Schmidhuber (2017), arXiv:1607.03474, section 4.

    Args:
        depth: layers within a step, at least one.
        transform_bias: what every b_t starts at; below zero the layers begin by carrying what they are given.

    Raises:
        ValueError: a size or depth below one; x or a state that is not (batch, its size).
    """

    def __init__(self, input_size: int, hidden_size: int, *, depth: int = 3, transform_bias: float = -2.0) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, depth=depth)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.g = Gate(input_size, hidden_size)
        self.t = Gate(input_size, hidden_size, bias=transform_bias)
        self.inner_g = nn.ModuleList(Inner(hidden_size) for _ in range(depth - 1))
        self.inner_t = nn.ModuleList(Inner(hidden_size, bias=transform_bias) for _ in range(depth - 1))

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for drive in (self.g, self.t, *self.inner_g, *self.inner_t):
            drive.reset_parameters()

    def initial_state(self, batch_size: int) -> ElmanState:
        """Zeros."""
        return ElmanState(self.g.b.new_zeros(batch_size, self.hidden_size))

    def forward(self, x: Float[Tensor, "B I"], state: ElmanState) -> tuple[Float[Tensor, "B H"], ElmanState]:
        """One step: h, twice."""
        check_step(x, self.input_size, state, self.hidden_size)
        (h,) = state
        g, t = torch.tanh(self.g(x, h)), torch.sigmoid(self.t(x, h))
        h = g * t + h * (1 - t)
        for inner_g, inner_t in zip(self.inner_g, self.inner_t, strict=True):
            g, t = torch.tanh(inner_g(h)), torch.sigmoid(inner_t(h))
            h = g * t + h * (1 - t)
        return h, ElmanState(h)
