"""The rectified recurrent network that starts from the identity: one step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.elman import ElmanState
from recurra.cells.gate import Gate


class IRNN(nn.Module):
    r"""A simple recurrent network of rectified units that, untrained, remembers: its recurrent weights start at I.

    .. math::
        h = \max(0, W^{hx} x + W^{hh} h' + b_h)

    At the start W_hh = ``identity_scale`` · I, b_h = 0 and W_hx is normal with standard deviation 0.001: a hidden unit
    keeps its value and errors flow back undiminished. A scale below one makes it forget.

    Source: Le, Jaitly and Hinton (2015), arXiv:1504.00941, section 3; rectified recurrences: review, section 2.2.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
    """

    def __init__(self, input_size: int, hidden_size: int, *, identity_scale: float = 1.0) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.identity_scale = identity_scale
        self.h = Gate(input_size, hidden_size)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """The identity again, and new small weights from the input."""
        nn.init.normal_(self.h.W_x, std=0.001)
        nn.init.eye_(self.h.W_h).mul_(self.identity_scale)
        nn.init.zeros_(self.h.b)

    def initial_state(self, batch_size: int) -> ElmanState:
        """Zeros."""
        return ElmanState(self.h.b.new_zeros(batch_size, self.hidden_size))

    def forward(self, x: Float[Tensor, "B I"], state: ElmanState) -> tuple[Float[Tensor, "B H"], ElmanState]:
        """One step: h, twice."""
        check_step(x, self.input_size, state, self.hidden_size)
        (h,) = state
        h = torch.relu(self.h(x, h))
        return h, ElmanState(h)
