"""The incomplete beta function and the quantiles made of it: closed forms, sums of binomial terms, integrals."""

import math

import numpy as np
import pytest
import torch

from recurra.models.forecasting.incomplete_beta import incomplete_beta
from recurra.models.forecasting.inverses import negative_binomial_quantile, student_t_quantile

LEVELS = torch.tensor([1e-6, 0.01, 0.2, 0.5, 0.500001, 0.9, 0.9999], dtype=torch.float64)


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def beta(a, b, x):
    a, b, x = doubles(a), doubles(b), doubles(x)
    return incomplete_beta(a, b, x, 1 - x).item()


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.3, 0.77, 1.0])
def test_with_a_one_it_is_a_power(x):
    for a in (0.01, 1.0, 3.7, 400.0):
        assert beta(a, 1.0, x) == pytest.approx(x**a, rel=1e-11)
        assert beta(1.0, a, x) == pytest.approx(-math.expm1(a * math.log1p(-x)) if x < 1 else 1.0, rel=1e-11)


@pytest.mark.parametrize(("n", "k"), [(5, 2), (40, 31), (900, 450)])
def test_of_whole_numbers_it_is_a_sum_of_binomial_terms(n, k):
    for x in (0.1, 0.48, 0.52, 0.8):
        terms = [math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(k, n + 1)]
        assert beta(float(k), float(n - k + 1), x) == pytest.approx(math.fsum(terms), rel=1e-10)


def test_of_large_parameters_it_is_the_integral():
    a, b, x = 3e4, 7e4, 0.3005
    t = np.linspace(x - 0.05, x, 200_001)
    density = np.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + (a - 1) * np.log(t) + (b - 1) * np.log1p(-t)
    )
    assert beta(a, b, x) == pytest.approx(np.trapezoid(density, t), rel=1e-6)


def test_quantiles_of_student_t_in_closed_form():
    torch.testing.assert_close(
        student_t_quantile(doubles(1.0), LEVELS), torch.tan(math.pi * (LEVELS - 0.5)), rtol=1e-8, atol=1e-12
    )
    two = (2 * LEVELS - 1) / (2 * LEVELS * (1 - LEVELS)).sqrt()
    torch.testing.assert_close(student_t_quantile(doubles(2.0), LEVELS), two, rtol=1e-8, atol=1e-12)
    z, df = torch.special.ndtri(LEVELS), 1e5
    near_normal = z + (z**3 + z) / (4 * df)  # what follows is of the order of z^5 / df^2
    torch.testing.assert_close(student_t_quantile(doubles(df), LEVELS), near_normal, rtol=2e-8, atol=1e-12)


def test_quantiles_of_student_t_part_its_mass():
    for df in (2.3, 7.0, 33.0):
        for level in (0.6, 0.9, 0.99):
            high = student_t_quantile(doubles(df), doubles(level)).item()
            t = torch.linspace(0, high, 20_001, dtype=torch.float64)
            density = torch.distributions.StudentT(doubles(df)).log_prob(t).exp()
            assert 0.5 + torch.trapezoid(density, t).item() == pytest.approx(level, abs=1e-7)


@pytest.mark.parametrize(("mean", "shape"), [(0.02, 0.5), (3.0, 1.7), (250.0, 0.01), (40.0, 2.0)])
def test_quantiles_of_counts_are_where_the_sum_of_their_chances_reaches_the_level(mean, shape):
    counts = torch.arange(20_000, dtype=torch.float64)
    known = torch.distributions.NegativeBinomial(1 / shape, logits=doubles(mean * shape).log())
    wanted = torch.searchsorted(known.log_prob(counts).exp().cumsum(0), LEVELS)
    found = negative_binomial_quantile(doubles(mean), doubles(shape), LEVELS)
    torch.testing.assert_close(found, wanted.double(), rtol=0, atol=0)
