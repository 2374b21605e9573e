"""How translations are searched."""

from typing import NamedTuple

from recurra.decoding.penalties import Penalty, no_penalty


class Search(NamedTuple):
    """How translations are searched.

    Args:
        beam: hypotheses that are kept; 1 is greedy.
        length_penalty: scores are log-probabilities over length to this power.
        n_best: translations of each text, at most as many as the beam.
    """

    beam: int = 1
    length_penalty: float = 1.0
    n_best: int = 1

    @property
    def penalty(self) -> Penalty:
        return no_penalty if self.length_penalty == 0 else lambda lengths: lengths**self.length_penalty

    def __str__(self) -> str:
        return f"beam={self.beam}, length^{self.length_penalty:g}" if self.beam > 1 else "greedy"
