"""Random weight guessing: a problem that it solves says nothing about a learner."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class RandomGuessing(Optimizer):
    """Draws all weights anew at each step, uniform within ±``scale``, and keeps the better of the draw and the best so
    far, both judged on the batch at hand. A step takes two evaluations and no gradient.

    Args:
        scale: the first draws of many problems succeed at 1 to 100; the paper has ±100 for its sigmoid units.
        seed: of the draws; the n-th depends on it and n alone.

    Source: Hochreiter and Schmidhuber (1996), "Bridging Long Time Lags by Weight Guessing and Long Short-Term Memory".
    """

    def __init__(self, parameters: Iterable[nn.Parameter], scale: float = 1.0, seed: int = 0) -> None:
        if not scale > 0:
            raise ValueError(f"scale must be above 0, got {scale}")
        super().__init__(parameters, {"scale": scale, "seed": seed, "draws": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """One draw.

        Args:
            closure: the loss with the parameters as they are, of the same batch at each call.

        Returns:
            The loss of what is kept; a draw whose loss is not a number is never kept.
        """
        kept, best = self._weights(), float(closure())
        self._draw()
        found = float(closure())
        if found < best or best != best:
            return found
        self._put(kept)
        return best

    def _draw(self) -> None:
        for group in self.param_groups:
            random, scale = np.random.default_rng((group["seed"], group["draws"])), group["scale"]
            for parameter in group["params"]:
                parameter.copy_(torch.from_numpy(random.uniform(-scale, scale, parameter.shape)))
            group["draws"] += 1

    def _weights(self) -> list[Tensor]:
        return [parameter.clone() for group in self.param_groups for parameter in group["params"]]

    def _put(self, weights: list[Tensor]) -> None:
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for parameter, weight in zip(parameters, weights, strict=True):
            parameter.copy_(weight)
