"""Penalties against numbers worked out by hand."""

import math

import pytest
import torch

from recurra.decoding.penalties import Coverage, no_penalty, per_length, wu


def test_lengths():
    lengths = torch.tensor([1.0, 7.0, 19.0])
    assert no_penalty(lengths).tolist() == [1, 1, 1]
    assert per_length(lengths).tolist() == [1, 7, 19]
    # (5 + 1) / 6 = 1, (5 + 7) / 6 = 2, (5 + 19) / 6 = 4
    assert wu(0.5)(lengths).tolist() == pytest.approx([1, math.sqrt(2), 2])
    assert wu(2.0)(lengths).tolist() == [1, 4, 16] and wu(0.0)(lengths).tolist() == [1, 1, 1]
    for alpha in (-0.1, math.nan):
        with pytest.raises(ValueError, match="need alpha >= 0"):
            wu(alpha)


def test_coverage():
    paid = torch.tensor([[0.5, 0.25, 1.7], [0.5, 2.0, 0.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    lengths = torch.tensor([3, 2, 3])
    found = Coverage(0.2, lambda state: state, lambda state: lengths).penalty(paid, ())
    tiny = torch.finfo(torch.float64).tiny
    assert found.tolist() == pytest.approx([-0.2 * math.log(8), -0.2 * math.log(2), 0.2 * math.log(tiny)])
    found = Coverage(1.0, lambda state: state).penalty(paid[:1], ())
    assert found.tolist() == pytest.approx([-math.log(8)])
