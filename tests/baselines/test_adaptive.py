"""Markov chains that learn as they go, against counts by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest

from recurra.baselines.adaptive import AdaptiveChain

TOKENS = np.array([0, 1, 1, 0, 1])


def test_frequencies_by_hand():
    chain = AdaptiveChain(3, order=0)
    chain.learn(TOKENS)  # 1, 1, 0, 1 with 1/2 each and 3/2 in all before the first
    expected = [Fraction(1, 3), Fraction(3, 5), Fraction(1, 7), Fraction(5, 9)]
    assert chain.nats == pytest.approx(-math.log(math.prod(expected)), rel=1e-12)


def test_what_follows_what_by_hand_and_in_pieces():
    chain = AdaptiveChain(3, order=1)
    chain.learn(TOKENS[:3])
    chain.learn(TOKENS[2:])
    expected = [Fraction(1, 3), Fraction(1, 3), Fraction(1, 5), Fraction(3, 5)]  # 0-1, 1-1, 1-0, 0-1
    assert chain.nats == pytest.approx(-math.log(math.prod(expected)), rel=1e-12)


def test_higher_orders_are_refused():
    with pytest.raises(ValueError, match="0 or 1"):
        AdaptiveChain(3, order=2)
