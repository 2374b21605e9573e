"""What drives a unit: the affine map that gates, input nodes and simple hidden layers have in common."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Gate(nn.Module):
    """W_x x + W_h h + b, plus p ⊙ s where the gate has a peephole. The nonlinearity is the cell's to write.

    Weights start uniform in ±1/√H, where H is ``hidden_size``, biases at ``bias``.

    Args:
        input_size: features of x.
        hidden_size: units driven.
        recurrent_size: features of h where they are not ``hidden_size``.
        bias: what b starts at.
        peephole: whether the internal state s is seen, each unit its own.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        recurrent_size: int | None = None,
        bias: float = 0.0,
        peephole: bool = False,
    ) -> None:
        super().__init__()
        self.bias = bias
        self.W_x = nn.Parameter(torch.empty(hidden_size, input_size))
        self.W_h = nn.Parameter(torch.empty(hidden_size, recurrent_size or hidden_size))
        self.b = nn.Parameter(torch.empty(hidden_size))
        self.p = nn.Parameter(torch.empty(hidden_size)) if peephole else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        bound = self.b.numel() ** -0.5
        for weight in (self.W_x, self.W_h, self.p):
            if weight is not None:
                nn.init.uniform_(weight, -bound, bound)
        nn.init.constant_(self.b, self.bias)

    def forward(
        self, x: Float[Tensor, "B I"], h: Float[Tensor, "B R"], s: Float[Tensor, "B H"] | None = None
    ) -> Float[Tensor, "B H"]:
        """The drive of one step.

        Raises:
            ValueError: a gate with a peephole was not given ``s``.
        """
        drive = F.linear(x, self.W_x, self.b) + F.linear(h, self.W_h)
        if self.p is None:
            return drive
        if s is None:
            raise ValueError("a gate with a peephole needs the internal state s")
        return drive + self.p * s
