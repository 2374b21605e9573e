"""Greedy search: the likeliest token, one after another, for many rows at once."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.rules import Banned, make_rules
from recurra.decoding.sampling import Step
from recurra.recurrence.state import State, select


@torch.no_grad()
def greedy(
    step: Step,
    tokens: Int[Tensor, " B"],
    state: State,
    *,
    end: int | None,
    maximum: int | Tensor,
    minimum: int = 1,
    banned: Banned = (),
    prefixes: Sequence[Sequence[int]] | None = None,
) -> list[Hypothesis]:
    """One hypothesis for each row; of equally likely tokens the smaller number. Rows leave the batch as they end.

    Args:
        step: gives the logits of the next token and the next state.
        tokens: what the hypotheses begin after, for instance a start token.
        state: before ``tokens``.
        end: the token that completes a hypothesis; None if there is none.
        maximum: most tokens, the end token included, of all rows or ``(B,)`` of each. A hypothesis that has as many
            is cut.
        minimum: least tokens of a hypothesis, the end token included.
        banned: tokens that are never chosen, or a function from the position to those not chosen there.
        prefixes: tokens of each row that come first whatever their probability, banned or not.

    Raises:
        ValueError: arguments out of range; logits that are NaN or +inf; no token may come.
    """
    rules = make_rules(tokens, end, minimum, maximum, banned, prefixes)
    rows = torch.arange(len(tokens), device=tokens.device)
    totals: Tensor | None = None
    found: list[tuple[Tensor, Tensor]] = []
    while len(rows):
        position = len(found)
        logits, state = step(tokens, state)
        values, choices = (each.squeeze(1) for each in rules.choices(logits, position, rows, 1))
        stuck = (values == -torch.inf) & ~rules.is_forced(position, rows)
        if stuck.any():
            raise ValueError(f"row {int(rows[stuck][0])}: no token may come at position {position}")
        totals = values.new_zeros(len(rows)) if totals is None else totals
        totals[rows] += values
        found.append((rows, choices))
        going = ~rules.closes(choices, position, rows)
        tokens, rows = choices[going], rows[going]
        if len(rows) < len(choices):
            state = select(state, going)
    return _hypotheses(found, totals)


def _hypotheses(found: list[tuple[Tensor, Tensor]], totals: Tensor | None) -> list[Hypothesis]:
    """From the tokens found at each position for the rows still there."""
    if totals is None:
        return []
    tokens: list[list[int]] = [[] for _ in totals]
    for rows, choices in found:
        for row, token in zip(rows.tolist(), choices.tolist(), strict=True):
            tokens[row].append(token)
    return [Hypothesis(row, total, total) for row, total in zip(tokens, totals.tolist(), strict=True)]
