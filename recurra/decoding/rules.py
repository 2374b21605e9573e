"""Which tokens may come next, and how likely the model finds them."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recurra.decoding.largest import largest

Banned = Collection[int] | Callable[[int], Collection[int]]
"""Tokens that may never be chosen, or from a position (0 is the first) those that may not be chosen there."""

FREE = -1
CACHED = 2**17  # numbers


class Rules(NamedTuple):
    """What a search may choose; B rows have it in common but for the tensors.

    Attributes:
        end: the token after which a hypothesis is complete; None if there is none.
        minimum: least tokens of a complete hypothesis, the end token included.
        maximum: most tokens; a hypothesis that has as many is cut.
        banned: tokens that are not chosen.
        forced: the first tokens, whatever their probability; ``FREE`` behind a row's own.
    """

    end: int | None
    minimum: int
    maximum: Int[Tensor, " B"]
    banned: Banned
    forced: Int[Tensor, "B P"]

    def choices(
        self, logits: Float[Tensor, "R V"], position: int, rows: Int[Tensor, " R"], k: int
    ) -> tuple[Float[Tensor, "R K"], Int[Tensor, "R K"]]:
        """The log-probabilities of the ``k`` likeliest tokens that may come at this position, and the tokens.

        Log-probabilities are the model's own: what may not come keeps its share. -inf stands where no token may come,
        or a forced one is impossible.

        Args:
            logits: of ``rows``, some of the B.
            position: tokens before this one.

        Raises:
            ValueError: logits are NaN or +inf, or a token of the rules is none of the V.
        """
        logits = logits if logits.dtype == torch.float64 else logits.float()
        total = _log_sum(logits)
        if not bool((total < torch.inf).all()):
            row = int(rows[int((total < torch.inf).squeeze(1).int().argmin())])
            raise ValueError(f"need logits finite or -inf, got NaN or +inf at position {position} of row {row}")
        banned = self._banned(position, logits.shape[1])
        values, tokens = largest(logits.index_fill(1, banned, -torch.inf) if len(banned) else logits, k)
        if position < self.forced.shape[1]:
            forced = self.forced[rows, position].unsqueeze(1)
            given = logits.gather(1, forced.clamp(min=0))
            first = torch.arange(values.shape[1], device=values.device) == 0
            values = torch.where(forced == FREE, values, given.masked_fill(~first, -torch.inf))
            tokens = torch.where((forced != FREE) & first, forced, tokens)
        return values - total.masked_fill(total == -torch.inf, 0.0), tokens  # a row may hold no finite logit

    def is_forced(self, position: int, rows: Int[Tensor, " R"]) -> Tensor:
        """Of each row whether its token at this position is given."""
        if position >= self.forced.shape[1]:
            return torch.zeros_like(rows, dtype=torch.bool)
        return self.forced[rows, position] != FREE

    def closes(self, tokens: Int[Tensor, "R *K"], position: int, rows: Int[Tensor, " R"]) -> Tensor:
        """Whether a hypothesis takes no token after this one: it is the end token or the last that the row may have."""
        last = (position + 1 >= self.maximum[rows]).view(-1, *[1] * (tokens.dim() - 1)).expand_as(tokens)
        return last if self.end is None else last | (tokens == self.end)

    def _banned(self, position: int, vocabulary: int) -> Int[Tensor, " N"]:
        banned = set(self.banned(position) if callable(self.banned) else self.banned)
        known = banned | ({self.end} if self.end is not None else set())
        if known and not 0 <= min(known) <= max(known) < vocabulary:
            raise ValueError(f"need end and banned tokens from 0 to {vocabulary - 1}, got {sorted(known)}")
        if self.forced.numel() and position == 0 and not int(self.forced.max()) < vocabulary:
            raise ValueError(f"need forced tokens from 0 to {vocabulary - 1}, got {int(self.forced.max())}")
        if self.end is not None and position + 1 < self.minimum:
            banned.add(self.end)
        return torch.tensor(sorted(banned), dtype=torch.long, device=self.maximum.device)


def _log_sum(logits: Float[Tensor, "R V"]) -> Float[Tensor, "R 1"]:
    # a few rows at a time: what logsumexp writes in between stays in the cache, which halves the time of a CPU
    parts = logits.split(max(1, CACHED // logits.shape[1]))
    return torch.cat([part.logsumexp(1, keepdim=True) for part in parts])


def make_rules(
    tokens: Int[Tensor, " B"],
    end: int | None,
    minimum: int,
    maximum: int | Tensor,
    banned: Banned,
    prefixes: Sequence[Sequence[int]] | None,
) -> Rules:
    """Rules for the rows that begin with ``tokens``.

    Args:
        prefixes: the first tokens of each row, the end token not among them; None for none.

    Raises:
        ValueError: lengths or prefixes that contradict each other.
    """
    most = torch.as_tensor(maximum, device=tokens.device)
    if most.dim() and most.shape != tokens.shape:
        raise ValueError(f"need one maximum or one for each of {len(tokens)} rows, got {tuple(most.shape)}")
    most = most.expand(len(tokens))
    if len(tokens) and not 1 <= minimum <= int(most.min()):
        raise ValueError(f"need 1 <= minimum <= maximum, got minimum {minimum} and maximum {most.tolist()}")
    prefixes = [[]] * len(tokens) if prefixes is None else [list(prefix) for prefix in prefixes]
    if len(prefixes) != len(tokens):
        raise ValueError(f"need a prefix for each of {len(tokens)} rows, got {len(prefixes)}")
    for row, (prefix, limit) in enumerate(zip(prefixes, most.tolist(), strict=True)):
        if len(prefix) > limit or end in prefix or min(prefix, default=0) < 0:
            wanted = f"at most {limit} tokens from 0 on without the end token {end}"
            raise ValueError(f"prefix of row {row}: need {wanted}, got {prefix}")
    longest = max(map(len, prefixes), default=0)
    padded = [[*prefix, *[FREE] * (longest - len(prefix))] for prefix in prefixes]
    forced = torch.tensor(padded, dtype=torch.long, device=tokens.device).view(len(tokens), longest)
    return Rules(end, minimum, most, banned, forced)
