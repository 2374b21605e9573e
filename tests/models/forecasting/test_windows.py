"""Where rows begin, and what stands in their gaps: beside loops over every step."""

import pytest
import torch

from recurra.models.forecasting.windows import begun, carried, starts, total_cost
from tests.models.forecasting.windows import BEGINS, CONTEXT, GAPS, HORIZON, windows


def test_a_row_begins_at_its_first_observed_value():
    given = windows(gaps=GAPS, begins=BEGINS)
    assert (given.context, given.horizon) == (CONTEXT, HORIZON)
    within, reset = begun(given.observed), starts(begun(given.observed))
    for row, begin in enumerate(BEGINS):
        assert within[row].tolist() == [step >= begin for step in range(CONTEXT + HORIZON)]
        assert reset[row].tolist() == [step == begin for step in range(CONTEXT + HORIZON)]
    assert starts(begun(windows(gaps=GAPS).observed)) is None
    with pytest.raises(ValueError, match="row 2 has no observed value in its context of 9 steps"):
        begun(windows(begins=[0, 1, CONTEXT, 0]).observed[:, :CONTEXT])


def test_a_gap_carries_the_value_before_it():
    given = windows(gaps=GAPS, begins=BEGINS)
    found = carried(given.target.masked_fill(~given.observed, 99.0), given.observed)
    for row, values in enumerate(given.target.tolist()):
        last = 0.0
        for step, value in enumerate(values):
            last = value if given.observed[row, step] else last
            assert found[row, step] == last


def test_only_observed_values_cost():
    cost = torch.tensor([[1.0, 2.0], [4.0, torch.nan]])
    assert total_cost(cost, torch.tensor([[True, False], [True, False]]), 2.0) == 2.5
