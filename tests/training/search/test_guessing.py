"""Random weight guessing on a network of one unit, where the share of draws that do is known by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from recurra.training.search.guessing import RandomGuessing


def unit(x):
    """One linear unit, and how often its sign is wrong."""
    model = nn.Linear(x.shape[1], 1, bias=False)
    return model, lambda: (model(x) * torch.ones(len(x), 1) <= 0).double().mean()


def test_a_draw_succeeds_as_often_as_geometry_says():
    # both points lie on one side for a quarter of all directions of two weights
    model, wrong = unit(torch.eye(2))
    solved = 0
    for seed in range(400):
        with torch.no_grad():
            model.weight.fill_(-1.0)
        solved += RandomGuessing(model.parameters(), seed=seed).step(wrong) == 0
    assert abs(solved - 100) <= 4 * (400 * 0.25 * 0.75) ** 0.5


def test_weights_are_uniform_within_the_scale():
    weight = nn.Parameter(torch.zeros(20_000))
    guessing = RandomGuessing([weight], scale=3.0, seed=1)
    guessing.step(lambda: -weight.detach().abs().max())
    drawn = np.sort(weight.detach().numpy())
    assert np.abs(drawn - np.linspace(-3, 3, 20_000)).max() < 6 * 2 / 20_000**0.5


def test_the_better_of_two_is_kept_and_what_is_no_number_never():
    weight = nn.Parameter(torch.tensor([0.5]))
    guessing = RandomGuessing([weight], seed=0)
    losses = [guessing.step(lambda: weight.detach().abs()) for _ in range(200)]
    assert losses == sorted(losses, reverse=True) and losses[-1] == weight.detach().abs() < 0.02
    kept = weight.detach().clone()
    values = iter([1.0, float("nan")])
    assert guessing.step(lambda: next(values)) == 1.0
    assert weight == kept
    values = iter([float("nan"), 2.0])
    assert guessing.step(lambda: next(values)) == 2.0
    assert weight != kept


def test_a_restored_search_draws_what_the_first_would_have():
    def run(weight, guessing, steps):
        for _ in range(steps):
            guessing.step(lambda: (weight.detach() - 0.3).norm())

    one = nn.Parameter(torch.zeros(3))
    first = RandomGuessing([one], seed=4)
    run(one, first, 5)
    other = nn.Parameter(one.detach().clone())
    second = RandomGuessing([other], seed=4)
    second.load_state_dict(first.state_dict())
    run(one, first, 20)
    run(other, second, 20)
    assert torch.equal(one, other)


def test_a_scale_of_nothing_is_refused():
    with pytest.raises(ValueError, match="scale must be above 0, got 0"):
        RandomGuessing([nn.Parameter(torch.zeros(1))], scale=0)
