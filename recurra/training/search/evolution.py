"""An evolution strategy with adapted covariances, by the library ``cma``."""

import math
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.optim import Optimizer

from recurra.errors import BadInput

FULL = 300
"""Weights up to which the whole covariance is adapted; of more, its diagonal."""


class Evolution(Optimizer):
    """CMA-ES over all weights: a normal distribution is drawn from, and moved and shaped by the ranks of the losses.

    A step is one generation, all of it judged on the batch at hand; the parameters are then the distribution's mean.
    With at most 300 weights the whole covariance is adapted (memory and time in their square), with more its diagonal.

    Args:
        spread: the standard deviation of the first generation, around the parameters as they are.
        population: draws in a generation; 4 + 3 ln(weights) where it is not given.
        seed: of the draws.

    Raises:
        BadInput: the library is not installed (the extra "search").

    Source: Hansen and Ostermeier (2001); its diagonal form, Ros and Hansen (2008).
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], spread: float = 0.5, population: int | None = None, seed: int = 0
    ) -> None:
        if not spread > 0:
            raise ValueError(f"spread must be above 0, got {spread}")
        super().__init__(parameters, {"spread": spread, "population": population, "seed": seed})
        self._start = self._vector()
        self._losses: list[list[float]] = []
        self._strategy = self._begun()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> float:  # type: ignore[override]
        """One generation.

        Args:
            closure: the loss with the parameters as they are, of the same batch at each call.

        Returns:
            The lowest loss in the generation; what is not finite counts as the worst.
        """
        drawn, losses = self._strategy.ask(), []
        for weights in drawn:
            self._put(weights)
            loss = float(closure())
            losses.append(loss if math.isfinite(loss) else sys.float_info.max)
        self._tell(drawn, losses)
        self._losses.append(losses)
        self._put(self._strategy.mean)
        return min(losses)

    def state_dict(self) -> dict[str, Any]:
        """Where it began and all losses since, from which the distribution follows: draws depend on the seed alone."""
        found = super().state_dict()
        kept = {"start": torch.from_numpy(self._start), "losses": torch.tensor(self._losses, dtype=torch.float64)}
        return found | {"state": {0: kept}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go through the generations again, without their evaluations.

        Raises:
            ValueError: it is the state of another number of weights.
        """
        kept = state_dict["state"][0]
        if len(kept["start"]) != len(self._start):
            raise ValueError(f"a state of {len(kept['start'])} weights does not fit {len(self._start)}")
        super().load_state_dict(state_dict | {"state": {}})
        self._start, self._losses = kept["start"].numpy(), kept["losses"].tolist()
        self._strategy = self._begun()
        for losses in self._losses:
            self._tell(self._strategy.ask(), losses)
        self._put(self._strategy.mean if self._losses else self._start)

    def _tell(self, drawn: Any, losses: list[float]) -> None:
        with warnings.catch_warnings():  # of steps that are long for a variance that has just fallen: it grows again
            warnings.filterwarnings("ignore", "elements of z2", UserWarning)
            self._strategy.tell(drawn, losses)

    def _begun(self) -> Any:
        try:
            import cma
        except ImportError as error:
            raise BadInput("evolution needs the cma package: pip install 'recurra[search]'") from error
        group, random = self.param_groups[0], np.random.default_rng(self.param_groups[0]["seed"])
        options: dict[str, Any] = {
            "verbose": -9,
            "seed": math.nan,  # numpy's own random state stays as it is
            "randn": lambda *shape: random.standard_normal(shape),
            "CMA_diagonal": len(self._start) > FULL,
        }
        if group["population"] is not None:
            options["popsize"] = group["population"]
        return cma.CMAEvolutionStrategy(self._start, group["spread"], options)

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _vector(self) -> Any:
        with torch.no_grad():
            return parameters_to_vector(self._parameters()).double().cpu().numpy()

    @torch.no_grad()
    def _put(self, weights: Any) -> None:
        like = self._parameters()[0]
        vector_to_parameters(torch.from_numpy(np.asarray(weights)).to(like), self._parameters())
