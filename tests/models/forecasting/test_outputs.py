"""What outputs begin with, and how features move their parameters, beside the papers' equations."""

import math

import pytest
import torch

from recurra.models.forecasting.outputs import (
    BernoulliOutput,
    NegativeBinomialOutput,
    NormalOutput,
    PointOutput,
    QuantileOutput,
    StudentTOutput,
)

FEATURES = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
SCALE = torch.tensor([1.0, 4.0, 9.0])
LEVELS = [0.1, 0.3, 0.5, 0.9]


def moved(output):
    """With random weights; and what its linear layer makes of the features."""
    torch.manual_seed(1)
    torch.nn.init.normal_(output.linear.weight)
    torch.nn.init.normal_(output.linear.bias)
    return output(FEATURES, SCALE), output.linear(FEATURES).double()


def softplus(numbers):
    return torch.log1p(numbers.exp()) / math.log(2)


def close(found, wanted):
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1.1e-4)  # the floor of a width is 1e-4


def test_they_begin_in_the_middle_and_as_wide_as_the_values():
    ones = torch.ones(3, 5)
    assert NormalOutput(4)(FEATURES, SCALE)[0].eq(0).all()
    torch.testing.assert_close(NormalOutput(4)(FEATURES, SCALE).width, ones)
    torch.testing.assert_close(StudentTOutput(4)(FEATURES, SCALE).df, 3 * ones)
    torch.testing.assert_close(BernoulliOutput(4)(FEATURES, SCALE).mean(), ones / 2)
    torch.testing.assert_close(NegativeBinomialOutput(4)(FEATURES, SCALE).mean(), ones)
    quantiles = QuantileOutput(4, LEVELS)(FEATURES, SCALE).values
    torch.testing.assert_close(quantiles, torch.special.ndtri(torch.tensor(LEVELS)).expand(3, 5, -1))


def test_parameters_by_hand():
    found, numbers = moved(NormalOutput(4))
    close(found.loc, numbers[..., 0])
    close(found.width, softplus(numbers[..., 1]))
    found, numbers = moved(StudentTOutput(4))
    close(found.df, 2 + softplus(numbers[..., 0]))
    close(found.loc, numbers[..., 1])
    close(found.width, softplus(numbers[..., 2]))
    found, numbers = moved(PointOutput(4))
    close(found.value, numbers[..., 0])
    found, numbers = moved(BernoulliOutput(4))
    close(found.logits, numbers[..., 0])


def test_counts_grow_with_the_scale_of_their_series():
    found, numbers = moved(NegativeBinomialOutput(4))
    unit = SCALE.double().view(3, 1)
    torch.testing.assert_close(found.rate.double(), unit * softplus(numbers[..., 0]), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.shape.double(), softplus(numbers[..., 1]) / unit.sqrt(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.mean(), found.rate / SCALE.view(3, 1))


def test_quantiles_cannot_cross():
    found, numbers = moved(QuantileOutput(4, LEVELS))
    start = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64))
    values = numbers[..., 0] + start[0]
    for place in range(len(LEVELS)):
        if place:
            values = values + softplus(numbers[..., place]) * (start[place] - start[place - 1])
        torch.testing.assert_close(found.values[..., place].double(), values, rtol=1e-3, atol=5e-4)
    extreme = QuantileOutput(4, LEVELS)
    torch.nn.init.constant_(extreme.linear.bias, -100.0)
    assert (extreme(FEATURES, SCALE).values.diff(dim=-1) > 0).all()


@pytest.mark.parametrize("levels", [[0.5], [0.5, 0.5], [0.0, 0.5], [0.9, 0.1], [0.5, 1.0]])
def test_levels_grow_within_0_and_1(levels):
    with pytest.raises(ValueError, match="levels must be two or more growing numbers"):
        QuantileOutput(4, levels)
