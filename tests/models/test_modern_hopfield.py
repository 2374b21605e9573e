"""The continuous Hopfield network beside its formulas, and beside PyTorch's attention."""

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from recurra.models.modern_hopfield import ModernHopfield
from tests.models.test_learning_rules import drawn


def normal(*sizes, seed=0):
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_update_and_energy_by_their_formulas():
    patterns, state, beta = normal(3, 4).numpy(), normal(4, seed=1).numpy(), 0.7
    memory = ModernHopfield(torch.from_numpy(patterns), beta)
    powers = np.exp(beta * np.array([pattern @ state for pattern in patterns]))
    given = torch.from_numpy(state).unsqueeze(0)
    np.testing.assert_allclose(memory(given)[0], (powers / powers.sum()) @ patterns, rtol=1e-14)
    largest = max(np.linalg.norm(pattern) for pattern in patterns)
    want = -np.log(powers.sum()) / beta + state @ state / 2 + np.log(3) / beta + largest**2 / 2
    assert float(memory.energy(given)) == pytest.approx(want, rel=1e-14)


def test_the_update_is_attention():
    patterns, states = normal(6, 10), normal(5, 10, seed=1)
    attended = scaled_dot_product_attention(states, patterns, patterns, scale=0.3)
    torch.testing.assert_close(ModernHopfield(patterns, 0.3)(states), attended, rtol=1e-13, atol=1e-13)


def test_the_energy_falls_and_stays_within_its_bounds():
    memory = ModernHopfield(normal(20, 8), 0.5)
    steps = list(memory.trajectory(2 * normal(30, 8, seed=1)))
    energies = torch.stack([memory.energy(states) for states in steps])
    assert len(steps) > 5 and float(energies.diff(dim=0).max()) < 1e-12
    largest = float(memory.patterns.norm(dim=1).max())
    within = memory.energy(memory.patterns)
    assert float(within.min()) >= 0 and float(within.max()) <= 2 * largest**2  # theorem 1


def test_one_update_recalls_patterns_that_lie_apart():
    patterns = normal(50, 64)
    cues = patterns + 0.5 * normal(50, 64, seed=1)
    memory = ModernHopfield(patterns, 1.0)
    assert float((memory(cues) - patterns).abs().max()) < 1e-4 < float((cues - patterns).abs().max())
    found = memory.recall(cues)
    assert float((found.states - patterns).abs().max()) < 1e-4 and int(found.updates.max()) <= 3


def test_far_more_patterns_than_units():
    patterns = drawn(4096, 64)
    cues = patterns[:100].clone()
    cues[:, :6] *= -1
    found = ModernHopfield(patterns, 1.0).recall(cues)
    assert float(((found.states - patterns[:100]).abs().amax(1) < 0.01).double().mean()) >= 0.98


def test_a_small_beta_gives_the_mean():
    patterns = normal(5, 8)
    found = ModernHopfield(patterns, 1e-6).recall(patterns)
    torch.testing.assert_close(found.states, patterns.mean(0).expand(5, -1), rtol=0, atol=1e-4)


def test_what_it_needs():
    for patterns, beta in ((normal(0, 3), 1.0), (normal(2, 3), 0.0)):
        with pytest.raises(ValueError, match="needs patterns and a beta above 0"):
            ModernHopfield(patterns, beta)
