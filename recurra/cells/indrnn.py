"""The independently recurrent network: one step."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.cells.activation import activation as named_activation
from recurra.cells.checks import check_sizes, check_step
from recurra.cells.elman import ElmanState


class IndRNN(nn.Module):
    r"""Each hidden unit sees the input and, of the step before, itself alone: units mix in the layer above.

    .. math::
        h = \phi(W^{hx} x + u \odot h' + b_h)

    h' is the step before. Over k steps a unit keeps u^k of itself, so that bounds on u bound its gradients: u starts
    uniform in (0, 1), where none explode. (The paper allows γ^(1/T) over T steps, where γ is the largest gradient.)

    Source: Li, Li, Cook, Zhu and Gao (2018), arXiv:1803.04831.

    Args:
        activation: φ: "relu", "tanh", "sigmoid" or "identity".

    Raises:
        ValueError: a size below one; x or a state that is not (batch, its size).
        BadInput: an unknown activation.
    """

    def __init__(self, input_size: int, hidden_size: int, *, activation: str = "relu") -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self._phi = named_activation(activation)
        self.h = nn.Linear(input_size, hidden_size)
        self.u = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        self.h.reset_parameters()
        nn.init.uniform_(self.u)

    def initial_state(self, batch_size: int) -> ElmanState:
        """Zeros."""
        return ElmanState(self.u.new_zeros(batch_size, self.hidden_size))

    def forward(self, x: Float[Tensor, "B I"], state: ElmanState) -> tuple[Float[Tensor, "B H"], ElmanState]:
        """One step: h, twice."""
        check_step(x, self.input_size, state, self.hidden_size)
        (h,) = state
        h = self._phi(self.h(x) + self.u * h)
        return h, ElmanState(h)
