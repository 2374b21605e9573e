"""Attention over a finished sequence: for each query a mean of what is remembered, weighted by how well it answers."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recurra.recurrence.ragged import within


class Memory(NamedTuple):
    """What can be attended to; a part of a decoder's state.

    Args:
        values: ``(B, S, M)``, 0 behind a row's end.
        keys: what queries are compared with, made once.
        inside: which of the places belong to each row.
        seen: the sum of the weights that each place has had so far, for attention that goes by it; else ().
    """

    values: Float[Tensor, "B S M"]
    keys: Float[Tensor, "B S K"]
    inside: Bool[Tensor, "B S"]
    seen: Float[Tensor, "B S"] | tuple[()] = ()


class Attended(NamedTuple):
    """The weighted means, and the weights, which are 0 behind a row's end."""

    contexts: Float[Tensor, "B T M"]
    weights: Float[Tensor, "B T S"]


class DotAttention(nn.Module):
    r"""Scores :math:`q^\top W v`; the product with W is taken once of each memory, so a query costs one dot product.

    Args:
        query_size, memory_size: features; where they are equal ``weighted`` may be False, and W is left out.

    Source: Luong, Pham and Manning (2015), arXiv:1508.04025, "general" and "dot".

    Raises:
        ValueError: no W between features of different size.
    """

    def __init__(self, query_size: int, memory_size: int, *, weighted: bool = True) -> None:
        super().__init__()
        if not weighted and query_size != memory_size:
            raise ValueError(f"a plain dot product needs equal sizes, got {query_size} and {memory_size}")
        self.key = nn.Linear(memory_size, query_size, bias=False) if weighted else nn.Identity()

    def remember(self, values: Float[Tensor, "B S M"], lengths: Int[Tensor, " B"] | None = None) -> Memory:
        """The memory of sequences, each with at least one step."""
        return _memory(values, self.key, lengths)

    def forward(self, queries: Float[Tensor, "B T Q"], memory: Memory) -> Attended:
        """For every query of a row, of that row's memory."""
        return _attend(queries @ memory.keys.transpose(1, 2), memory)


class AdditiveAttention(nn.Module):
    r"""Scores :math:`w^\top \tanh(W_q q + W_v v)`.

    Args:
        query_size, memory_size: features.
        size: A, of what both are mapped to.
        covers: scores are :math:`w^\top \tanh(W_q q + W_v v + w_c s)`, where s is the sum of all weights that the place
            has had; every query then waits for the one before, and the memory has to be told of its weights.

    Source: Bahdanau, Cho and Bengio (2015), arXiv:1409.0473, appendix A.1.2; ``covers`` is See, Liu and Manning (2017),
    arXiv:1704.04368, equation 11, after Tu et al. (2016), arXiv:1601.04811.
    """

    def __init__(self, query_size: int, memory_size: int, size: int, *, covers: bool = False) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, size, bias=False)
        self.key = nn.Linear(memory_size, size)
        self.score = nn.Linear(size, 1, bias=False)
        self.seen = nn.Linear(1, size, bias=False) if covers else None

    def remember(self, values: Float[Tensor, "B S M"], lengths: Int[Tensor, " B"] | None = None) -> Memory:
        """The memory of sequences, each with at least one step."""
        memory = _memory(values, self.key, lengths)
        return memory if self.seen is None else memory._replace(seen=values.new_zeros(values.shape[:2]))

    def forward(self, queries: Float[Tensor, "B T Q"], memory: Memory) -> Attended:
        """For every query of a row, of that row's memory; takes memory for ``B T S A`` numbers."""
        keys = memory.keys
        if self.seen is not None and isinstance(memory.seen, Tensor):
            keys = keys + self.seen(memory.seen.unsqueeze(2))
        together = torch.tanh(self.query(queries).unsqueeze(2) + keys.unsqueeze(1))
        return _attend(self.score(together).squeeze(3), memory)


def covered(memory: Memory, weights: Float[Tensor, "B T S"]) -> Memory:
    """The memory after queries that had these weights."""
    return memory._replace(seen=memory.seen + weights.sum(1)) if isinstance(memory.seen, Tensor) else memory


def _memory(values: Tensor, key: nn.Module, lengths: Tensor | None) -> Memory:
    if lengths is None:
        return Memory(values, key(values), values.new_ones(values.shape[:2], dtype=torch.bool))
    inside = within(lengths, values.shape[1])
    values = values.masked_fill(~inside.unsqueeze(2), 0.0)
    return Memory(values, key(values), inside)


def _attend(scores: Tensor, memory: Memory) -> Attended:
    weights = scores.masked_fill(~memory.inside.unsqueeze(1), -torch.inf).softmax(2)
    return Attended(weights @ memory.values, weights)
