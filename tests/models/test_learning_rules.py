"""Learning rules beside sums written out, and inverses by another way."""

import numpy as np
import pytest
import torch

from recurra.models.learning_rules import hebbian, pseudo_inverse, storkey


def drawn(count, units, seed=0):
    return torch.randint(0, 2, (count, units), generator=torch.Generator().manual_seed(seed)).double() * 2 - 1


def zeros(units):
    return torch.zeros(units, units, dtype=torch.float64)


def test_hebb_by_hand():
    patterns = torch.tensor([[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]).double()
    # the two agree in signs' products at (1, 4) and (2, 3) only
    want = [[0, 0, 0, -0.5], [0, 0, -0.5, 0], [0, -0.5, 0, 0], [-0.5, 0, 0, 0]]
    assert hebbian(zeros(4), patterns).tolist() == want


def storkey_written_out(patterns):
    count, units = patterns.shape
    weights = np.zeros((units, units))
    for pattern in patterns:
        new = weights.copy()
        for i in range(units):
            for j in range(units):
                if i != j:
                    others = [k for k in range(units) if k not in (i, j)]
                    h_ij = sum(weights[i, k] * pattern[k] for k in others)
                    h_ji = sum(weights[j, k] * pattern[k] for k in others)
                    new[i, j] += (pattern[i] * pattern[j] - pattern[i] * h_ji - h_ij * pattern[j]) / units
        weights = new
    return weights


def test_storkey_beside_its_sums():
    patterns = drawn(4, 9)
    np.testing.assert_allclose(storkey(zeros(9), patterns), storkey_written_out(patterns.numpy()), atol=1e-15)


@pytest.mark.parametrize("rule", [hebbian, storkey])
def test_further_patterns_are_added_to_weights_that_are_there(rule):
    patterns = drawn(5, 12)
    apart = rule(rule(zeros(12), patterns[:2]), patterns[2:])
    torch.testing.assert_close(apart, rule(zeros(12), patterns), rtol=0, atol=1e-15)


def test_the_projection_beside_the_gram_matrix():
    patterns = drawn(6, 20).numpy()
    projection = patterns.T @ np.linalg.solve(patterns @ patterns.T, patterns)
    np.fill_diagonal(projection, 0)
    np.testing.assert_allclose(pseudo_inverse(torch.from_numpy(patterns)), projection, atol=1e-14)


def test_dependent_patterns_have_the_projection_of_the_others():
    patterns = drawn(6, 20)
    twice = torch.cat([patterns, -patterns[:2]])
    torch.testing.assert_close(pseudo_inverse(twice), pseudo_inverse(patterns), rtol=0, atol=1e-14)
