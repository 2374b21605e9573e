"""Expected utilities against sums worked out by hand."""

import math
from collections import Counter

import pytest

from recurra.decoding.risk import expected_utilities, minimum_bayes_risk


def shared(one, other):
    """How many tokens two sequences share, for the length of the first."""
    return sum((Counter(one) & Counter(other)).values()) / len(one)


def test_of_samples_the_one_most_like_the_others_is_chosen():
    samples = ["abcd", "xyzw", "abce", "abcf"]
    # itself 1, the other two of its kind 3/4 each
    assert expected_utilities(samples, shared) == pytest.approx([2.5 / 4, 1 / 4, 2.5 / 4, 2.5 / 4])
    assert minimum_bayes_risk(samples, shared) == 0


def test_an_n_best_list_is_weighed_by_its_probabilities():
    tokens = [[1, 2], [1, 3], [4, 5]]
    logs = [math.log(p) for p in (0.03, 0.02, 0.04)]
    expected = [(3 + 1) / 9, (2 + 1.5) / 9, 4 / 9]
    assert expected_utilities(tokens, shared, log_probabilities=logs) == pytest.approx(expected)
    far = [value - 5000 for value in logs]
    assert expected_utilities(tokens, shared, log_probabilities=far) == pytest.approx(expected)
    assert minimum_bayes_risk(tokens, shared, log_probabilities=[0.0, 0.0, 1.0]) == 2


def test_a_pair_is_compared_once_however_often_it_was_drawn():
    calls = []

    def utility(one, other):
        calls.append((one, other))
        return float(one == other)

    assert expected_utilities(["a", "b", "a", "a"], utility) == [0.75, 0.25, 0.75, 0.75]
    assert sorted(calls) == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]


@pytest.mark.parametrize(
    "candidates, logs", [([], None), (["a"], [0.0, 0.0]), (["a"], [-math.inf]), (["a"], [math.nan])]
)
def test_what_cannot_be_weighed_is_refused(candidates, logs):
    with pytest.raises(ValueError, match="need a finite log-probability for each of 1 or more candidates"):
        expected_utilities(candidates, shared, log_probabilities=logs)
