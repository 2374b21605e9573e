"""The largest values against Python's own stable sort."""

import pytest
import torch

from recurra.decoding.largest import largest


@pytest.mark.parametrize("kinds", [3, 50, 10**9])
@pytest.mark.parametrize("k", [1, 2, 5, 30])
@pytest.mark.parametrize("count", [1, 4, 64, 65, 127, 1000, 8009])
def test_equals_come_in_their_order(count, k, kinds):
    values = torch.randint(kinds, (6, count), generator=torch.manual_seed(count + k)).double()
    values[1] = 0.0
    values[2, count // 2 :] = -torch.inf
    values[3] = -torch.inf
    found, index = largest(values, k)
    for row, numbers in enumerate(values.tolist()):
        expected = sorted(range(count), key=lambda each: -numbers[each])[:k]  # noqa: B023
        assert index[row].tolist() == expected
        assert found[row].tolist() == [numbers[each] for each in expected]
