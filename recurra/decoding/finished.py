"""The best hypotheses of each source that take no further token."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recurra.decoding.largest import largest


@final
class Finished:
    """The N best of each of B sources, the best first; of equals the one that was added earlier.

    Attributes:
        scores: (B, N); -inf where there is none yet.
        log_probabilities: (B, N).
        lengths: (B, N), in tokens; 0 where there is none.
        slots: (B, N), what each had at its last step.
    """

    def __init__(self, sources: int, count: int, dtype: torch.dtype, device: torch.device) -> None:
        self.scores = torch.full((sources, count), -torch.inf, dtype=dtype, device=device)
        self.log_probabilities = self.scores.clone()
        self.lengths = torch.zeros((sources, count), dtype=torch.long, device=device)
        self.slots = self.lengths.clone()

    def add(
        self,
        sources: Int[Tensor, " S"],
        scores: Float[Tensor, "S K"],
        log_probabilities: Float[Tensor, "S K"],
        length: int,
    ) -> None:
        """Hypotheses of one length, by slot; no hypothesis where the score is -inf."""
        slots = torch.arange(scores.shape[1], device=scores.device).expand(scores.shape)
        together = torch.cat([self.scores[sources], scores], dim=1)
        self.scores[sources], index = largest(together, self.scores.shape[1])
        for kept, new in (
            (self.log_probabilities, log_probabilities),
            (self.lengths, torch.full_like(slots, length)),
            (self.slots, slots),
        ):
            kept[sources] = torch.cat([kept[sources], new], dim=1).gather(1, index)

    def worst(self, sources: Int[Tensor, " S"]) -> Float[Tensor, " S"]:
        """The score that a hypothesis must exceed to be one of the N."""
        return self.scores[sources, -1]
