"""Jordan's network: one step."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.activation import activation as named_activation
from recurra.cells.checks import check_sizes, check_step
from recurra.cells.gate import Gate


class JordanState(NamedTuple):
    """The context units (Jordan's state units): an exponential trace of the outputs so far."""

    c: Float[Tensor, "B O"]


class Jordan(nn.Module):
    r"""A hidden layer that sees the outputs of earlier steps through self-connected context units.

    .. math::
        h &= \phi(W^{hx} x + W^{hc} c' + b_h) \\
        y &= \phi_y(W^{yh} h + b_y) \\
        c &= \mu c' + y

    c' is the context after the step before; its self-weight μ is fixed, not learnt. The hidden layer has no memory but
    through c. Jordan's units are logistic ("sigmoid"); he writes s for the context, which here is a cell's inner state.

    Source: review, section 3.1; Jordan (1986), Serial order: a parallel distributed processing approach, ICS 8604.

    Args:
        output_size: units of y, and so of c; ``hidden_size`` where it is not given.
        self_weight: μ, at least 0 and below 1: the share of a context unit's value that survives a step.
        activation: φ: "tanh", "sigmoid", "relu" or "identity".
        output_activation: φ_y, likewise.

    Raises:
        ValueError: a size below one, a self-weight out of range; x or a state that is not (batch, its size).
        BadInput: an unknown activation.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        output_size: int | None = None,
        self_weight: float = 0.5,
        activation: str = "tanh",
        output_activation: str = "tanh",
    ) -> None:
        super().__init__()
        output_size = hidden_size if output_size is None else output_size
        check_sizes(input_size=input_size, hidden_size=hidden_size, output_size=output_size)
        if not 0 <= self_weight < 1:
            raise ValueError(f"self_weight must be at least 0 and below 1, got {self_weight}")
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.self_weight = self_weight
        self._phi, self._phi_y = named_activation(activation), named_activation(output_activation)
        self.h = Gate(input_size, hidden_size, recurrent_size=output_size)
        self.W_yh = nn.Parameter(torch.empty(output_size, hidden_size))
        self.b_y = nn.Parameter(torch.empty(output_size))
        self._reset_output()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        self.h.reset_parameters()
        self._reset_output()

    def initial_state(self, batch_size: int) -> JordanState:
        """Zeros."""
        return JordanState(self.b_y.new_zeros(batch_size, self.output_size))

    def forward(self, x: Float[Tensor, "B I"], state: JordanState) -> tuple[Float[Tensor, "B O"], JordanState]:
        """One step: y, and the context that the next one sees."""
        check_step(x, self.input_size, state, self.output_size)
        (c,) = state
        h = self._phi(self.h(x, c))
        y = self._phi_y(F.linear(h, self.W_yh, self.b_y))
        c = self.self_weight * c + y
        return y, JordanState(c)

    def _reset_output(self) -> None:
        bound = self.hidden_size**-0.5
        nn.init.uniform_(self.W_yh, -bound, bound)
        nn.init.zeros_(self.b_y)
