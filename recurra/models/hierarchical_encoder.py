"""An encoder of conversations: layers for the words of each turn, and layers for the turns."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recurra.recurrence.ragged import within
from recurra.recurrence.state import State


class HierarchicalEncoder(nn.Module):
    """Tokens to a vector for each that knows its turn, and the turns before.

    The layers of words begin anew with every turn. The mean of a turn's outputs is what the layers of turns read, and
    their output stands beside every token of that turn.

    Args:
        vocabulary_size, embedding_size: of the tokens.
        speakers: so many tokens, from 1 on, begin a turn.
        words: layers that read embedded tokens; may be bidirectional.
        turns: layers that read what those give, one step a turn.
        dropout: of the embedded tokens.

    Source: Sordoni et al. (2015), arXiv:1507.02221; for conversations Serban et al. (2016), arXiv:1507.04808.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        speakers: int,
        words: nn.Module,
        turns: nn.Module,
        *,
        dropout: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.speakers = speakers
        self.words, self.turns = words, turns
        self.dropout = dropout if dropout is not None else nn.Identity()

    def forward(self, tokens: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B S M"], State]:
        """The outputs for every token, and the last state of the layers of turns.

        Args:
            tokens: each row begins with a speaker.
            lengths: at least 1.
        """
        begins = (tokens >= 1) & (tokens <= self.speakers)
        outputs, _ = self.words(self.dropout(self.embedding(tokens)), lengths=lengths, reset=begins)
        turn = (begins.cumsum(1) - 1).clamp(min=0)
        means, counts = self._means(outputs, turn, within(lengths, tokens.shape[1]))
        contexts, state = self.turns(means, lengths=counts)
        own = turn.clamp(max=contexts.shape[1] - 1).unsqueeze(2)  # of what lies behind a row's end, any
        beside = contexts.gather(1, own.expand(-1, -1, contexts.shape[2]))
        return torch.cat([outputs, beside], 2), state

    def _means(
        self, outputs: Float[Tensor, "B S H"], turn: Int[Tensor, "B S"], inside: Bool[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B N H"], Int[Tensor, " B"]]:
        """The mean over each turn of a row, and how many turns there are."""
        counts = turn.masked_fill(~inside, 0).amax(1) + 1
        turns = int(counts.max())
        place = turn.clamp(max=turns - 1).unsqueeze(2)
        weights = inside.unsqueeze(2).to(outputs.dtype)
        sums = outputs.new_zeros(len(outputs), turns, outputs.shape[2])
        sums = sums.scatter_add(1, place.expand_as(outputs), outputs * weights)
        sizes = outputs.new_zeros(len(outputs), turns, 1).scatter_add(1, place, weights)
        return sums / sizes.clamp(min=1.0), counts
