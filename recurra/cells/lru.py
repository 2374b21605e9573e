"""The linear recurrent unit: one step."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells.checks import check_sizes, check_step


class LRUState(NamedTuple):
    """The real and the imaginary part of h."""

    h_re: Float[Tensor, "B H"]
    h_im: Float[Tensor, "B H"]


class LRU(nn.Module):
    r"""A linear recurrence of complex units, each turning and shrinking by itself; stacked between nonlinear layers.

    .. math::
        \lambda &= \exp(-\exp \nu + i \exp \theta) \\
        h &= \lambda \odot h' + \exp(\gamma) \odot (B x) \\
        y &= \mathrm{Re}(C h) + D x

    h' is the step before; h, λ, B and C are complex, kept as real and imaginary parts. At the start λ is uniform on the
    ring between r_min and r_max, up to the angle ``max_phase``, and exp(γ) = √(1 - |λ|²), so that noise of variance one
    keeps h at variance one. D is the paper's vector d made a matrix, as y and x may differ in size.

    Source: Orvieto et al. (2023), arXiv:2303.06349, section 3 and appendix A.

    Args:
        hidden_size: H, the complex units.
        output_size: features of y; ``hidden_size`` where it is not given.
        r_min: the smallest |λ| at the start, above 0.
        r_max: the largest, below 1: a unit forgets half within log(1/2) / log|λ| steps.
        max_phase: the largest angle of λ at the start, in radians; a small one is for slow, long memories.

    Raises:
        ValueError: a size below one, radii out of range; x or a state that is not (batch, its size).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        output_size: int | None = None,
        r_min: float = 0.5,
        r_max: float = 0.99,
        max_phase: float = 2 * math.pi,
    ) -> None:
        super().__init__()
        output_size = hidden_size if output_size is None else output_size
        check_sizes(input_size=input_size, hidden_size=hidden_size, output_size=output_size)
        if not 0 < r_min < r_max < 1:
            raise ValueError(f"radii must be 0 < r_min < r_max < 1, got r_min {r_min} and r_max {r_max}")
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.r_min, self.r_max, self.max_phase = r_min, r_max, max_phase
        self.nu, self.theta, self.gamma = (nn.Parameter(torch.empty(hidden_size)) for _ in range(3))
        self.B_re, self.B_im = (nn.Parameter(torch.empty(hidden_size, input_size)) for _ in range(2))
        self.C_re, self.C_im = (nn.Parameter(torch.empty(output_size, hidden_size)) for _ in range(2))
        self.D = nn.Parameter(torch.empty(output_size, input_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        square = nn.init.uniform_(torch.empty_like(self.nu), self.r_min**2, self.r_max**2)
        self.nu.copy_(torch.log(-0.5 * torch.log(square)))
        self.theta.copy_(torch.log(self.max_phase * (1 - torch.rand_like(self.theta))))
        self.gamma.copy_(0.5 * torch.log(1 - square))
        for B in (self.B_re, self.B_im):
            nn.init.normal_(B, std=(2 * self.input_size) ** -0.5)
        for C in (self.C_re, self.C_im):
            nn.init.normal_(C, std=self.hidden_size**-0.5)
        nn.init.normal_(self.D, std=self.input_size**-0.5)

    def initial_state(self, batch_size: int) -> LRUState:
        """Zeros."""
        zeros = self.nu.new_zeros(batch_size, self.hidden_size)
        return LRUState(h_re=zeros, h_im=zeros)

    def forward(self, x: Float[Tensor, "B I"], state: LRUState) -> tuple[Float[Tensor, "B O"], LRUState]:
        """One step: y, and the new state."""
        check_step(x, self.input_size, state, self.hidden_size)
        h_re, h_im = state
        radius, angle, scale = torch.exp(-torch.exp(self.nu)), torch.exp(self.theta), torch.exp(self.gamma)
        re, im = radius * torch.cos(angle), radius * torch.sin(angle)
        new_re = re * h_re - im * h_im + scale * F.linear(x, self.B_re)
        new_im = re * h_im + im * h_re + scale * F.linear(x, self.B_im)
        y = F.linear(new_re, self.C_re) - F.linear(new_im, self.C_im) + F.linear(x, self.D)
        return y, LRUState(new_re, new_im)
