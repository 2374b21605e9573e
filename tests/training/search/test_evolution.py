"""The evolution strategy on functions whose minima are known, and its resumption."""

import numpy as np
import pytest
import torch
from torch import nn

from recurra.training.search.evolution import Evolution


def rosenbrock(x):
    x = x.detach()
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def test_the_minimum_of_a_curved_valley_is_found():
    x = nn.Parameter(torch.zeros(4, dtype=torch.float64))
    search = Evolution([x], spread=0.3, seed=1)
    for _ in range(400):
        search.step(lambda: rosenbrock(x))
    assert float((x.detach() - 1).abs().max()) < 1e-6


def test_many_weights_are_drawn_by_their_variances_alone():
    scales = torch.logspace(0, 1, 320)
    x = nn.Parameter(torch.ones(320))
    search = Evolution([x], spread=0.5, seed=1)
    first = float((scales * x.detach() ** 2).sum())
    for _ in range(500):
        search.step(lambda: (scales * x.detach() ** 2).sum())
    assert float((scales * x.detach() ** 2).sum()) < 1e-2 * first


def test_parameters_of_a_model_keep_their_shapes_and_numpys_numbers_their_order():
    torch.manual_seed(0)
    model, before = nn.Linear(3, 2), np.random.get_state()
    x, y = torch.randn(20, 3), torch.randn(20, 2)
    search = Evolution(model.parameters(), seed=0)
    losses = [search.step(lambda: (model(x) - y).square().mean().detach()) for _ in range(150)]
    best = torch.linalg.lstsq(torch.cat([x, torch.ones(20, 1)], 1), y)
    fitted = torch.cat([x, torch.ones(20, 1)], 1) @ best.solution
    assert losses[-1] == pytest.approx(float((fitted - y).square().mean()), rel=1e-3)
    assert all(np.array_equal(one, other) for one, other in zip(np.random.get_state(), before, strict=True))


def test_a_restored_search_goes_on_to_the_same_weights():
    def run(x, search, steps):
        for _ in range(steps):
            search.step(lambda: rosenbrock(x))

    one, other = (nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(2))
    first, second = Evolution([one], seed=3), Evolution([other], seed=3)
    run(one, first, 12)
    second.load_state_dict(first.state_dict())
    assert torch.equal(one, other)
    run(one, first, 12)
    run(other, second, 12)
    assert torch.equal(one, other)


def test_a_loss_that_is_no_number_is_the_worst():
    x = nn.Parameter(torch.full((3,), 0.5))
    search = Evolution([x], spread=0.5, seed=0)
    for _ in range(80):
        search.step(lambda: x.detach().log().square().sum())  # of negative weights it is no number
    assert float((x.detach() - 1).abs().max()) < 1e-3


def test_another_models_state_is_refused():
    state = Evolution([nn.Parameter(torch.zeros(3))]).state_dict()
    with pytest.raises(ValueError, match="a state of 3 weights does not fit 4"):
        Evolution([nn.Parameter(torch.zeros(4))]).load_state_dict(state)


def test_a_spread_of_nothing_is_refused():
    with pytest.raises(ValueError, match="spread must be above 0, got 0"):
        Evolution([nn.Parameter(torch.zeros(1))], spread=0)
