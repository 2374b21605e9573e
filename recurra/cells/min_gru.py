"""The minimal gated recurrent unit: one step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.cells.checks import check_sizes, check_step
from recurra.cells.elman import ElmanState


class MinGRU(nn.Module):
    r"""A GRU whose gate and candidate see the input alone: its units are weighted means of what came in.

    .. math::
        z &= \sigma(W^{zx} x + b_z) \\
        g &= W^{gx} x + b_g \\
        h &= (1 - z) \odot h' + z \odot g

    h' is the step before; g is the paper's candidate h̃. z lets the new in, as in the paper; that of ``GRU`` keeps the
    old. This is the paper's plain form, not the one in log-space, whose candidates are positive.

    Source: Feng et al. (2024), Were RNNs all we needed?, arXiv:2410.01201, section 3.1.

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.z = nn.Linear(input_size, hidden_size)
        self.g = nn.Linear(input_size, hidden_size)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        for linear in (self.z, self.g):
            linear.reset_parameters()

    def initial_state(self, batch_size: int) -> ElmanState:
        """Zeros."""
        return ElmanState(self.g.bias.new_zeros(batch_size, self.hidden_size))

    def forward(self, x: Float[Tensor, "B I"], state: ElmanState) -> tuple[Float[Tensor, "B H"], ElmanState]:
        """One step: h, twice."""
        check_step(x, self.input_size, state, self.hidden_size)
        (h,) = state
        z = torch.sigmoid(self.z(x))
        g = self.g(x)
        h = (1 - z) * h + z * g
        return h, ElmanState(h)
