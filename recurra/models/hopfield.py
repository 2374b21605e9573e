"""The Hopfield network: an associative memory of binary patterns."""

from collections.abc import Iterator
from math import log, sqrt
from typing import Literal, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recurra.models.learning_rules import hebbian, pseudo_inverse, storkey

Rule = Literal["hebbian", "storkey", "pseudo-inverse"]
Updates = Literal["asynchronous", "synchronous"]


class Recall(NamedTuple):
    """What cues came to.

    Args:
        states: the last ones; of two that alternate, one.
        sweeps: after how many updates of every unit.
        alternates: between two states for ever, which synchronous updates may.
    """

    states: Float[Tensor, "B N"]
    sweeps: Int[Tensor, " B"]
    alternates: Bool[Tensor, " B"]


@final
class Hopfield(nn.Module):
    r"""Units of states 1 and -1 with symmetric weights, and none to themselves.

    .. math::
        h_i = \sum_j w_{ij} x_j, \qquad x_i \leftarrow \mathrm{sign}(h_i), \qquad
        E = -\tfrac12 \sum_{ij} w_{ij} x_i x_j

    A unit whose field is 0 keeps its state. Fields are rounded sums: one that is smaller than ``tie``, which rounding
    may come to, counts as 0. So each asynchronous update that changes anything lowers the energy, and recall ends.

    Args:
        units: N.
        rule: how :meth:`store` makes weights. ``hebbian`` and ``storkey`` are incremental: further patterns change the
            weights that are there. ``pseudo-inverse`` finds them anew from all the patterns, which are kept.
        dtype: of weights and states.

    Attributes:
        weights: (N, N).
        patterns: (P, N), as they were stored.

    Source: Hopfield (1982), PNAS 79:2554.
    """

    weights: Tensor
    patterns: Tensor

    def __init__(self, units: int, rule: Rule = "hebbian", *, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.rule: Rule = rule
        self.register_buffer("weights", torch.zeros(units, units, dtype=dtype))
        self.register_buffer("patterns", torch.zeros(0, units, dtype=dtype))

    @property
    def capacity(self) -> float:
        """How many random patterns the rule holds, for many units.

        Source: 0.138 N, 1.5 % of their bits wrong: Amit, Gutfreund and Sompolinsky (1985), Phys. Rev. Lett. 55:1530.
        N / √(2 ln N): Storkey (1997). N - 1, exactly: Personnaz, Guyon and Dreyfus (1985).
        """
        units = len(self.weights)
        if self.rule == "hebbian":
            return 0.138 * units
        return float(units - 1) if self.rule == "pseudo-inverse" else units / sqrt(2 * log(max(units, 2)))

    @property
    def tie(self) -> float:
        """The largest field that counts as 0."""
        return float(torch.finfo(self.weights.dtype).eps * self.weights.abs().sum(1).max() * 4)

    def store(self, patterns: Float[Tensor, "P N"]) -> None:
        """Hold further patterns.

        Raises:
            ValueError: an element is neither 1 nor -1.
        """
        new = self._states(patterns)
        self.patterns = torch.cat([self.patterns, new])
        if self.rule == "pseudo-inverse":
            self.weights = pseudo_inverse(self.patterns)
        else:
            self.weights = (hebbian if self.rule == "hebbian" else storkey)(self.weights, new)

    def energy(self, states: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """E of each row."""
        return -0.5 * ((states @ self.weights) * states).sum(1)

    def overlaps(self, states: Float[Tensor, "B N"]) -> Float[Tensor, "B P"]:
        """m of each row with each stored pattern: 1 where they are equal, -1 where every unit differs."""
        return states @ self.patterns.T / len(self.weights)

    def stays(self, states: Float[Tensor, "B N"]) -> Bool[Tensor, " B"]:
        """Whether each row is a fixed point, of either kind of updates."""
        return (self._step(states) == states).all(1)

    def recall(
        self,
        cues: Float[Tensor, "B N"],
        updates: Updates = "asynchronous",
        generator: torch.Generator | None = None,
    ) -> Recall:
        """Update each cue until nothing changes, or two states alternate; see :meth:`trajectory`."""
        steps = self.trajectory(cues, updates, generator)
        states = next(steps)
        sweeps = torch.zeros(len(states), dtype=torch.long, device=states.device)
        for new in steps:
            sweeps += (new != states).any(1)
            states = new
        return Recall(states, sweeps, ~self.stays(states))

    def trajectory(
        self,
        cues: Float[Tensor, "B N"],
        updates: Updates = "asynchronous",
        generator: torch.Generator | None = None,
        *,
        parts: int = 1,
    ) -> Iterator[Float[Tensor, "B N"]]:
        """The cues, then their states after every sweep, until no row goes anywhere new.

        An asynchronous sweep updates each unit once, in an order drawn anew for every sweep, the same for all rows:
        what a cue comes to does not depend on the others. A synchronous one updates all at once; with symmetric weights
        that ends in a fixed point or in two states that alternate (Goles and Olivos 1980), the second of which stays.

        Args:
            generator: draws the orders; torch's own where none is given.
            parts: states given of each asynchronous sweep.

        Raises:
            ValueError: an element is neither 1 nor -1.
        """
        states = self._states(cues)
        yield states
        yield from (
            self._one_by_one(states, generator, parts) if updates == "asynchronous" else self._all_at_once(states)
        )

    def _one_by_one(self, states: Tensor, generator: torch.Generator | None, parts: int) -> Iterator[Tensor]:
        tie = self.tie
        while True:
            fields = states @ self.weights
            if not bool((fields * states < -tie).any()):
                return
            states = states.clone()
            for part in torch.randperm(len(self.weights), generator=generator).tensor_split(parts):
                for unit in part.tolist():
                    rows = (fields[:, unit] * states[:, unit] < -tie).nonzero().squeeze(1)
                    if len(rows):
                        states[rows, unit] *= -1
                        fields.index_add_(0, rows, torch.outer(2 * states[rows, unit], self.weights[unit]))
                yield states.clone()

    def _all_at_once(self, states: Tensor) -> Iterator[Tensor]:
        earlier = states
        while True:
            new = self._step(states)
            back = (new == earlier).all(1, keepdim=True)
            if bool((back | (new == states)).all()):
                return
            # a row that alternates stays, else the other rows would decide where it ends
            earlier, states = torch.where(back, earlier, states), torch.where(back, states, new)
            yield states

    def _step(self, states: Tensor) -> Tensor:
        fields = states @ self.weights
        return torch.where(fields.abs() > self.tie, fields.sign(), states)

    def _states(self, given: Tensor) -> Tensor:
        if not bool((given.abs() == 1).all()):
            raise ValueError("states are 1 and -1, got others")
        return given.to(self.weights)
