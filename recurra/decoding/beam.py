"""Beam search for many sources at once."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recurra.decoding.finished import Finished
from recurra.decoding.growth import Growth, follow_back
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.largest import largest
from recurra.decoding.penalties import Coverage, Penalty, no_penalty
from recurra.decoding.rules import Banned, Rules, make_rules
from recurra.decoding.sampling import Step
from recurra.recurrence.state import State, select


@torch.no_grad()
def beam_search(
    step: Step,
    tokens: Int[Tensor, " B"],
    state: State,
    *,
    beam: int,
    end: int | None,
    maximum: int | Tensor,
    minimum: int = 1,
    n_best: int = 1,
    penalty: Penalty = no_penalty,
    coverage: Coverage | None = None,
    banned: Banned = (),
    prefixes: Sequence[Sequence[int]] | None = None,
    watch: Callable[[Growth], object] = lambda growth: None,
) -> list[list[Hypothesis]]:
    r"""The ``n_best`` hypotheses found for each source, the best first.

    At each step a source keeps the K likeliest of all extensions of its open hypotheses. One that ends takes its place
    among the finished ones, which are ranked by their scores

    .. math:: \log P(Y) / lp(|Y|) + cp(X; Y)

    and a place in the beam for that step; so a beam of 1 is greedy search. Of equal hypotheses the shorter comes first,
    then the one whose parent came first, then the one with the smaller token.

    Nothing is lost by stopping early. Further tokens make no log-probability larger, and cp is at most 0, so no
    descendant of an open hypothesis scores above :math:`\log P / \max_{l \le maximum} lp(l)`. A hypothesis for which
    this is not above the score of the ``n_best``-th finished one leaves the batch, and what is less likely with it.

    Args:
        step: gives the logits of the next token and the next state; receives at most B times ``beam`` rows.
        tokens: what the hypotheses begin after, for instance a start token; one for each source.
        state: before ``tokens``.
        beam: K.
        end: the token that completes a hypothesis; None if there is none.
        maximum: most tokens, the end token included, of all sources or ``(B,)`` of each. A hypothesis that has as
            many is cut, and ranks with the finished ones.
        minimum: least tokens of a hypothesis, the end token included.
        n_best: how many to return, at most ``beam``; there may be fewer.
        penalty: lp, from lengths to what log-probabilities are divided by.
        coverage: cp; none is 0.
        banned: tokens that are never chosen, or a function from the position to those not chosen there.
        prefixes: tokens of each source that come first whatever their probability, banned or not.
        watch: is shown what each step kept, for instance to draw the tree.

    Raises:
        ValueError: arguments out of range; logits that are NaN or +inf; no hypothesis, as no token may come.
    """
    if not 1 <= n_best <= beam:
        raise ValueError(f"need 1 <= n_best <= beam, got n_best {n_best} and beam {beam}")
    if coverage is not None and not coverage.beta >= 0:
        raise ValueError(f"need coverage with beta >= 0, got {coverage.beta}")
    rules = make_rules(tokens, end, minimum, maximum, banned, prefixes)
    if not len(tokens):
        return []
    logits, state = step(tokens, state)
    search = _Search(rules, beam, n_best, penalty, coverage, torch.promote_types(logits.dtype, torch.float32))
    while True:
        tokens, rows = search.advance(logits, state)
        watch(search.grown[-1])
        if not len(tokens):
            return search.hypotheses()
        logits, state = step(tokens, select(state, rows))


class _Search:
    """A search under way: R open hypotheses, a row of the batch each, of S of the B sources."""

    def __init__(
        self, rules: Rules, beam: int, n_best: int, penalty: Penalty, coverage: Coverage | None, dtype: torch.dtype
    ) -> None:
        count, device = len(rules.maximum), rules.maximum.device
        self._rules, self._beam, self._coverage = rules, beam, coverage
        self._divisors = penalty(torch.arange(1, int(rules.maximum.max()) + 1, dtype=dtype, device=device))
        if not bool((self._divisors > 0).all()):
            raise ValueError(f"need a penalty above 0, got {self._divisors.tolist()}")
        self._largest_divisors = self._divisors.cummax(0).values[rules.maximum - 1]  # (B,)
        self._finished = Finished(count, n_best, dtype, device)
        self._impossible = torch.zeros(count, dtype=torch.bool, device=device)  # (B,): a forced token is
        self._sources = torch.arange(count, device=device)  # (S,)
        self._homes = self._sources  # (R,): where a row's source stands among the S
        self._slots = torch.zeros_like(self._sources)  # (R,)
        self._totals = torch.zeros(count, dtype=dtype, device=device)  # (R,): log-probabilities
        self._paid: Tensor | None = None  # (R, positions of the source): attention
        self.grown: list[Growth] = []

    def advance(self, logits: Float[Tensor, "R V"], state: State) -> tuple[Int[Tensor, " Q"], Int[Tensor, " Q"]]:
        """The next tokens of the hypotheses to go on with, and the row that each extends."""
        position = len(self.grown)
        growth, rows = self._grow(*self._choices(logits, position))
        self.grown.append(growth)
        sources, totals = growth.sources, growth.log_probabilities
        there = totals > -torch.inf
        closed = there & self._rules.closes(growth.tokens, position, sources)
        scores = totals / self._divisors[position]
        if self._coverage is not None:
            scores = scores + self._cover(self._coverage, state)[rows]
        self._finished.add(sources, scores.masked_fill(~closed, -torch.inf), totals, position + 1)
        reach = totals / self._largest_divisors[sources].unsqueeze(1)
        return self._keep(there & ~closed & (reach > self._finished.worst(sources).unsqueeze(1)), growth, rows)

    def hypotheses(self) -> list[list[Hypothesis]]:
        """The best of each source.

        Raises:
            ValueError: a source has none.
        """
        finished, impossible = self._finished, self._impossible.unsqueeze(1)
        none = finished.lengths[:, 0] == 0
        if none.any():
            raise ValueError(f"row {int(none.int().argmax())}: no token may come after any hypothesis of the beam")
        tokens = follow_back(self.grown, finished.slots, finished.lengths).tolist()
        logs = finished.log_probabilities.masked_fill(impossible, -torch.inf).tolist()
        scores = finished.scores.masked_fill(impossible, -torch.inf).tolist()
        return [
            [Hypothesis(found[:length], *numbers) for found, length, *numbers in zip(*source, strict=True) if length]
            for source in zip(tokens, finished.lengths.tolist(), logs, scores, strict=True)
        ]

    def _choices(self, logits: Tensor, position: int) -> tuple[Tensor, Tensor]:
        """Log-probabilities and tokens ``(R, K)``; an impossible forced token is noted and costs nothing here."""
        sources = self._sources[self._homes]
        values, tokens = self._rules.choices(logits, position, sources, self._beam)
        lost = self._rules.is_forced(position, sources) & (values[:, 0] == -torch.inf)
        self._impossible[sources[lost]] = True
        values[:, 0].masked_fill_(lost, 0.0)
        return values, tokens

    def _grow(self, values: Tensor, tokens: Tensor) -> tuple[Growth, Int[Tensor, "S K"]]:
        """The likeliest extensions of each source, and the rows that they extend; any row where a slot is empty."""
        count, width = len(self._sources), values.shape[1]
        table = values.new_full((count, self._beam, width), -torch.inf)
        table[self._homes, self._slots] = self._totals.unsqueeze(1) + values
        row_at = torch.zeros((count, self._beam), dtype=torch.long, device=values.device)
        row_at[self._homes, self._slots] = torch.arange(len(values), device=values.device)
        totals, best = largest(table.flatten(1), self._beam)
        parents = best // width
        rows = row_at.gather(1, parents)
        return Growth(self._sources, parents, tokens[rows, best % width], totals), rows

    def _cover(self, coverage: Coverage, state: State) -> Float[Tensor, " R"]:
        weights = coverage.attention(state).to(self._totals.dtype)
        self._paid = weights if self._paid is None else self._paid + weights
        penalty = coverage.penalty(self._paid, state)
        if penalty.isnan().any():
            raise ValueError(f"need attention weights, got NaN at position {len(self.grown) - 1}")
        return penalty

    def _keep(self, kept: Tensor, growth: Growth, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Go on with these of the hypotheses ``(S, K)`` alone: their tokens and the rows that they extend."""
        homes, self._slots = kept.nonzero(as_tuple=True)
        searched = kept.any(1)
        self._homes = (searched.cumsum(0) - 1)[homes]
        self._sources = self._sources[searched]
        self._totals, rows = growth.log_probabilities[kept], rows[kept]
        self._paid = None if self._paid is None else self._paid[rows]
        return growth.tokens[kept], rows
