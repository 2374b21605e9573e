"""What is too small for its type is zero inside, and as before outside, even after an error."""

import pytest
import torch

from recurra.training.denormals import flushing_denormals


def product() -> float:
    return (torch.full((64,), 1e-30) * 1e-10)[0].item()


@pytest.mark.parametrize("before", [False, True])
def test_denormals_are_zero_while_inside(before: bool) -> None:
    if not torch.set_flush_denormal(before):
        pytest.skip("this processor cannot flush denormals")
    try:
        outside = product()
        assert (outside == 0) == before
        with pytest.raises(ZeroDivisionError), flushing_denormals():
            assert product() == 0
            raise ZeroDivisionError
        assert product() == outside
    finally:
        torch.set_flush_denormal(False)
