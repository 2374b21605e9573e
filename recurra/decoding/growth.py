"""How the hypotheses of a beam grew, and the way back from the last token of one to its first."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Growth(NamedTuple):
    """What one step of a search kept: of each source still searched K slots, the likeliest first.

    Attributes:
        sources: which of the B sources these S are.
        parents: the slot that each hypothesis had at the step before; at the first step all have 0.
        tokens: what each was extended by.
        log_probabilities: of each with this token; -inf where a slot is empty.
    """

    sources: Int[Tensor, " S"]
    parents: Int[Tensor, "S K"]
    tokens: Int[Tensor, "S K"]
    log_probabilities: Float[Tensor, "S K"]


def follow_back(
    grown: Sequence[Growth], slots: Int[Tensor, "B N"], lengths: Int[Tensor, "B N"]
) -> Int[Tensor, "B N T"]:
    """The tokens of hypotheses that had these slots at the step of their last token; behind their lengths anything."""
    slots = slots.clone()
    found = slots.new_zeros((*slots.shape, len(grown)))
    for position in reversed(range(len(grown))):
        sources, parents, tokens, _ = grown[position]
        before = slots[sources]
        found[sources, :, position] = tokens.gather(1, before)
        slots[sources] = torch.where(lengths[sources] > position, parents.gather(1, before), before)
    return found
