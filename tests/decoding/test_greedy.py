"""Greedy search against one row at a time in plain Python."""

import math

import pytest
import torch

from recurra.decoding.greedy import greedy
from recurra.recurrence.state import select
from tests.decoding.problems import END, Options, Translator, narrow_search


@pytest.mark.parametrize("minimum", [1, 4])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_each_row_follows_its_likeliest_tokens(dtype, minimum):
    model, maximum, prefixes = Translator(6, seed=3, sharpness=1.0), torch.tensor([9, 5, 12, 4]), [[], [1], [4, 5], []]

    def step(tokens, state):
        logits, state = model.step(tokens, state)
        return logits.to(dtype), state

    starts, state = torch.zeros(4, dtype=torch.long), model.start(4)
    options = dict(end=END, maximum=maximum, minimum=minimum, banned=[3], prefixes=prefixes)
    found = greedy(step, starts, state, **options)
    assert len({len(each.tokens) for each in found}) > 1
    for row, hypothesis in enumerate(found):
        options = Options(maximum[row].item(), minimum, banned=lambda position: [3], prefix=tuple(prefixes[row]))
        [expected] = narrow_search(step, select(state, torch.tensor([row])), options, 1)
        assert hypothesis.tokens == expected.tokens
        rounding = len(hypothesis.tokens) * 8 * (2**-52 if dtype == torch.float64 else 2**-23)  # of logits below 8
        assert hypothesis.score == hypothesis.log_probability == pytest.approx(expected.score, abs=rounding)


def test_rows_leave_the_batch_as_they_end():
    seen = []

    def step(tokens, state):
        """After n calls the row n ends; the state names the rows."""
        seen.append(state.tolist())
        return torch.nn.functional.one_hot((state >= len(seen)).long(), 2).log(), state

    found = greedy(step, torch.zeros(3, dtype=torch.long), torch.tensor([2, 0, 1]), end=0, maximum=10)
    assert seen == [[2, 0, 1], [2, 1], [2]]
    assert [each.tokens for each in found] == [[1, 1, 0], [0], [1, 0]]


def test_of_equal_tokens_the_smallest_is_chosen():
    found = greedy(lambda tokens, state: (torch.ones(2, 7), state), torch.zeros(2).long(), (), end=None, maximum=2)
    assert [each.tokens for each in found] == [[0, 0]] * 2


def test_an_impossible_token_is_forced_and_never_chosen():
    def step(tokens, state):
        return torch.tensor([[-math.inf, 1.0, 0.0]]), state

    [found] = greedy(step, torch.zeros(1).long(), (), end=None, maximum=2, prefixes=[[0]])
    assert found == ([0, 1], -math.inf, -math.inf)
    with pytest.raises(ValueError, match="row 0: no token may come at position 1"):
        greedy(step, torch.zeros(1).long(), (), end=None, maximum=2, banned=lambda position: [1, 2] if position else [])


def test_nan_is_refused():
    with pytest.raises(ValueError, match="need logits finite or -inf, got NaN or \\+inf at position 0 of row 1"):
        logits = torch.tensor([[0.0, 1.0], [math.nan, 0.0]])
        greedy(lambda tokens, state: (logits, state), torch.zeros(2).long(), (), end=None, maximum=2)


def test_no_row_is_no_work():
    assert greedy(lambda tokens, state: pytest.fail(), torch.zeros(0).long(), (), end=0, maximum=3) == []
