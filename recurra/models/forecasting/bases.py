"""Forecasts in closed form, from the context alone, for a network to improve on.

Each is called with the values of a context, missing ones filled, and returns those of the horizon.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn


@final
class LastValue(nn.Module):
    """The last value, again and again.

    Args:
        horizon: U.
    """

    def __init__(self, horizon: int) -> None:
        super().__init__()
        self.horizon = horizon

    def forward(self, values: Float[Tensor, "B C"]) -> Float[Tensor, "B U"]:
        return values[:, -1:].expand(-1, self.horizon)


@final
class SeasonalNaive(nn.Module):
    """The last season, again and again.

    Args:
        horizon: U.
        season: its steps; called with a shorter context it raises a ValueError.
    """

    def __init__(self, horizon: int, season: int) -> None:
        super().__init__()
        self.horizon, self.season = horizon, season

    def forward(self, values: Float[Tensor, "B C"]) -> Float[Tensor, "B U"]:
        if values.shape[1] < self.season:
            raise ValueError(f"a season of {self.season} steps needs as long a context, got {values.shape[1]}")
        steps = torch.arange(self.horizon, device=values.device) % self.season
        return values[:, -self.season :][:, steps]


@final
class LinearMap(nn.Module):
    r"""A linear map of the last values, by itself the least squares forecast of a window.

    .. math:: \hat y = W z + b

    Args:
        weight: W of ``(U, L)``, b of ``(U,)``: for instance of :class:`Ridge`; called with a context of fewer than L
            steps the map raises a ValueError.
        learns: whether training goes on from them, or leaves them as they are.

    Source: Zeng et al. (2023), arXiv:2205.13504, of the map that is learnt by gradient descent.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Float[Tensor, "U L"], bias: Float[Tensor, " U"], *, learns: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone(), requires_grad=learns)
        self.bias = nn.Parameter(bias.clone(), requires_grad=learns)

    def forward(self, values: Float[Tensor, "B C"]) -> Float[Tensor, "B U"]:
        length = self.weight.shape[1]
        if values.shape[1] < length:
            raise ValueError(f"a map of {length} values needs as long a context, got {values.shape[1]}")
        return values[:, -length:] @ self.weight.T + self.bias


class Ridge:
    r"""The linear map with the least squared error, plus a penalty of :math:`\lambda \lVert W \rVert^2`.

    Sums over the windows are all that is kept of them, so they may be added batch by batch.

    Args:
        length: L, values that are read.
        horizon: U.
    """

    def __init__(self, length: int, horizon: int) -> None:
        self._products = torch.zeros(length + 1, length + 1, dtype=torch.float64)
        self._wanted = torch.zeros(length + 1, horizon, dtype=torch.float64)

    def add(self, values: Float[Tensor, "N L"], following: Float[Tensor, "N U"]) -> None:
        """Windows of values and what followed them."""
        x = torch.nn.functional.pad(values.double(), (0, 1), value=1.0)
        self._products += x.T @ x
        self._wanted += x.T @ following.double()

    def fit(self, penalty: float = 0.0) -> tuple[Float[Tensor, "U L"], Float[Tensor, " U"]]:
        """W and b, float64.

        Args:
            penalty: lambda; b is free of it. Without it the windows must determine the map.
        """
        free = torch.full((len(self._products),), penalty, dtype=torch.float64)
        free[-1] = 0.0
        found = torch.linalg.solve(self._products + free.diag(), self._wanted)
        return found[:-1].T.contiguous(), found[-1].contiguous()
