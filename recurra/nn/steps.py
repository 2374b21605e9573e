"""One step of ``torch.nn``'s recurrences: their equations, the order of their gates, their stacked weights.

A step owns no weights. Those belong to the layer that calls it, where ``to``, ``load_state_dict``, ``functional_call``
and parametrizations find them, and each is there once. :func:`bind` hands the step, before every call, the tensors that
the layer's attributes are at that moment. They then are parameters of the step like any other's: ``step.weight_ih``,
``named_parameters`` and ``functional_call`` see them. Without biases or a projection, those are None.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def bind(step: nn.Module, weights: dict[str, Any]) -> None:
    """Let ``step`` read these tensors, some of :data:`WEIGHTS`, from now on; the others are None.

    They may be any tensors, where a parametrization computed them or ``functional_call`` put them. All change at once,
    so that calls from several threads may bind the same weights to the same step.
    """
    vars(step)["_parameters"] = dict.fromkeys(WEIGHTS) | weights  # sooner than by the module's own way


class LSTMStep(nn.Module):
    """``(h, c)`` after one step; i, f, g, o stacked in the weights. A ``weight_hr`` projects h."""

    weight_ih: Float[Tensor, "4*H I"]
    weight_hh: Float[Tensor, "4*H P"]
    bias_ih: Float[Tensor, " 4*H"] | None
    bias_hh: Float[Tensor, " 4*H"] | None
    weight_hr: Float[Tensor, "P H"] | None

    def forward(self, x: Float[Tensor, "B I"], state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        drive = F.linear(x, self.weight_ih, self.bias_ih) + F.linear(h, self.weight_hh, self.bias_hh)
        i, f, g, o = drive.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        if self.weight_hr is not None:
            h = F.linear(h, self.weight_hr)
        return h, c


class GRUStep(nn.Module):
    """h after one step; r, z, n stacked in the weights. The reset r acts after the product with h."""

    weight_ih: Float[Tensor, "3*H I"]
    weight_hh: Float[Tensor, "3*H H"]
    bias_ih: Float[Tensor, " 3*H"] | None
    bias_hh: Float[Tensor, " 3*H"] | None

    def forward(self, x: Float[Tensor, "B I"], h: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        r_x, z_x, n_x = F.linear(x, self.weight_ih, self.bias_ih).chunk(3, dim=1)
        r_h, z_h, n_h = F.linear(h, self.weight_hh, self.bias_hh).chunk(3, dim=1)
        r = torch.sigmoid(r_x + r_h)
        z = torch.sigmoid(z_x + z_h)
        n = torch.tanh(n_x + r * n_h)
        return (1 - z) * n + z * h


class RNNStep(nn.Module):
    """h after one step, with ``nonlinearity`` "tanh" or "relu"."""

    weight_ih: Float[Tensor, "H I"]
    weight_hh: Float[Tensor, "H H"]
    bias_ih: Float[Tensor, " H"] | None
    bias_hh: Float[Tensor, " H"] | None

    def __init__(self, nonlinearity: str) -> None:
        super().__init__()
        self.phi = {"tanh": torch.tanh, "relu": torch.relu}[nonlinearity]

    def forward(self, x: Float[Tensor, "B I"], h: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        return self.phi(F.linear(x, self.weight_ih, self.bias_ih) + F.linear(h, self.weight_hh, self.bias_hh))
