"""Distributions beside those of torch, their own draws, and integrals done by hand."""

import math

import pytest
import torch

from recurra.models.forecasting.distributions import (
    Bernoulli,
    NegativeBinomial,
    Normal,
    Point,
    Quantiles,
    StudentT,
    positive,
)

DRAWS = 200_000
LEVELS = torch.tensor([0.05, 0.3, 0.5, 0.8, 0.95])


def alike(*values, rows=1):
    """Parameters, each repeated for many draws."""
    return [torch.full((rows,), value) for value in values]


def quantiles(rows=1):
    return Quantiles(torch.tensor([0.1, 0.4, 0.5, 0.9]), torch.tensor([-1.0, 0.0, 0.5, 3.0]).expand(rows, -1))


MADE = {
    "normal": lambda rows=1: Normal(*alike(0.7, 1.5, rows=rows)),
    "student": lambda rows=1: StudentT(*alike(4.5, -0.5, 0.8, rows=rows)),
    "counts": lambda rows=1: NegativeBinomial(*alike(6.0, 0.4, 2.0, rows=rows)),
    "bernoulli": lambda rows=1: Bernoulli(*alike(0.8, rows=rows)),
    "quantiles": quantiles,
}


def test_costs_are_those_of_torch():
    y = torch.tensor([-1.0, 0.0, 2.0])
    dist = torch.distributions
    torch.testing.assert_close(MADE["normal"](3).cost(y), -dist.Normal(0.7, 1.5).log_prob(y))
    torch.testing.assert_close(MADE["student"](3).cost(y), -dist.StudentT(4.5, -0.5, 0.8).log_prob(y))
    torch.testing.assert_close(MADE["bernoulli"](2).cost(y[1:] / 2), -dist.Bernoulli(logits=0.8).log_prob(y[1:] / 2))
    torch.testing.assert_close(Point(y).cost(y.flip(0)), torch.tensor([9.0, 0.0, 9.0]))


def test_the_cost_of_counts_by_hand():
    """Gamma(k + r) / (k! Gamma(r)) p^k (1 - p)^r with r = 1 / alpha and p = mu alpha / (1 + mu alpha)."""
    for count in (0, 1, 7):
        r, p = 1 / 0.4, 6.0 * 0.4 / (1 + 6.0 * 0.4)
        chance = math.gamma(count + r) / math.factorial(count) / math.gamma(r) * p**count * (1 - p) ** r
        cost = MADE["counts"]().cost(torch.tensor([count / 2.0]))
        assert cost.item() == pytest.approx(-math.log(chance), rel=1e-5)


def test_the_cost_of_quantiles_by_hand():
    found = quantiles().cost(torch.tensor([0.2])).item()
    pinball = [0.1 * 1.2, 0.4 * 0.2, 0.5 * 0.3, 0.1 * 2.8]
    assert found == pytest.approx(2 * sum(pinball) / 4, rel=1e-6)


@pytest.mark.parametrize("name", MADE)
def test_means_are_those_of_draws(name):
    many = MADE[name](DRAWS)
    drawn = many.sample(torch.Generator().manual_seed(3))
    error = drawn.std() / math.sqrt(DRAWS)
    assert abs(drawn.mean() - many.mean()[0]) < 4 * error


@pytest.mark.parametrize("name", MADE)
def test_quantiles_are_those_of_draws(name):
    """At most a share ``level`` of all draws lies below its quantile, at least that share up to it."""
    many = MADE[name](DRAWS)
    drawn = many.sample(torch.Generator().manual_seed(4))
    for level, at in zip(LEVELS, MADE[name]().quantile(LEVELS)[0], strict=True):
        error = 4 * math.sqrt(level * (1 - level) / DRAWS)
        assert (drawn < at).float().mean() <= level + error
        assert (drawn <= at).float().mean() >= level - error


@pytest.mark.parametrize("name", ["normal", "student", "counts"])
def test_draws_spread_as_the_variance_says(name):
    drawn = MADE[name](DRAWS).sample(torch.Generator().manual_seed(5))
    wanted = {"normal": 1.5**2, "student": 0.8**2 * 4.5 / 2.5, "counts": (6.0 + 0.4 * 36) / 4}[name]
    # the fourth moment of t with 4.5 degrees of freedom is large: a draw in a hundred thousand moves the variance
    assert drawn.var().item() == pytest.approx(wanted, rel=0.05 if name == "student" else 0.02)


@pytest.mark.parametrize("name", MADE)
def test_the_same_generator_draws_the_same(name):
    first, second = (MADE[name](50).sample(torch.Generator().manual_seed(8)) for _ in range(2))
    assert torch.equal(first, second) and len(first.unique()) > 1


def test_the_mean_between_and_beyond_quantiles_is_the_integral_of_their_function():
    levels = (torch.arange(2_000_000, dtype=torch.float64) + 0.5) / 2_000_000
    many = Quantiles(*(each.double() for each in quantiles()))
    assert many.quantile(levels).mean().item() == pytest.approx(many.mean().item(), rel=1e-5)


def test_quantiles_meet_their_own_levels_and_never_fall():
    own = quantiles()
    torch.testing.assert_close(own.quantile(own.levels), own.values)
    fine = own.quantile(torch.linspace(0.001, 0.999, 999))[0]
    assert (fine.diff() > 0).all()
    torch.testing.assert_close(own.quantile(torch.tensor([0.25]))[0], torch.tensor([-0.5]))


@pytest.mark.parametrize("name", ["normal", "student", "quantiles"])
def test_a_moved_distribution_is_that_of_the_moved_value(name):
    one, scale = MADE[name](), torch.tensor([2.5])
    moved = one.moved(torch.tensor([-3.0]), scale)
    torch.testing.assert_close(moved.mean(), 2.5 * one.mean() - 3)
    torch.testing.assert_close(moved.quantile(LEVELS), 2.5 * one.quantile(LEVELS) - 3)
    y = torch.tensor([0.4])
    change = scale.log() if name != "quantiles" else 1.5 * one.cost(y)  # of a density; of a length
    torch.testing.assert_close(moved.cost(2.5 * y - 3), one.cost(y) + change)


def test_a_point_is_no_distribution():
    point = Point(torch.zeros(2))
    assert torch.equal(point.moved(torch.ones(2), torch.ones(2)).mean(), torch.ones(2))
    for asked in (lambda: point.quantile(LEVELS), point.sample):
        with pytest.raises(ValueError, match="a point forecast"):
            asked()


def test_what_has_to_be_positive_is_so():
    numbers = torch.tensor([-1e4, 0.0, 20.0])
    torch.testing.assert_close(positive(numbers), torch.tensor([1e-4, 1.0, 20 / math.log(2)]), rtol=1e-4, atol=0)
