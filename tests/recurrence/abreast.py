"""The same computed with loops side by side, however small they are, and one after the other."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from recurra.recurrence.cpu import pool, together
from recurra.recurrence.state import tensors

needs_pool = pytest.mark.skipif(pool.pool() is None, reason="PyTorch has no OpenMP pool here that can be found")


def both_ways(compute: Callable[[], Any]) -> tuple[Any, Any, int]:
    """What ``compute`` gives either way on two threads, its first calls behind it, and how many times two loops were
    launched together."""
    launches, real = [], together._run

    def counted(ready):
        launches.append(len(ready))
        real(ready)

    torch.set_num_threads(2)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(together, "MOST_ROWS", 0)
            compute()
            apart = compute()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(together, "LEAST", 0)
            patch.setattr(together, "_run", counted)
            abreast = compute()
    finally:
        torch.set_num_threads(1)
    return abreast, apart, sum(count > 1 for count in launches)


def assert_same_bits(one: Any, other: Any) -> None:
    for a, b in zip(tensors(one), tensors(other), strict=True):
        assert torch.equal(a, b)


def gradients_of(values: Any, wanted: list[torch.Tensor], **options: Any) -> list[torch.Tensor]:
    """Of a sum in which no two elements weigh the same."""
    total = sum((v * torch.linspace(-1, 1, v.numel(), dtype=v.dtype).view(v.shape)).sum() for v in tensors(values))
    return list(torch.autograd.grad(total, wanted, **options))
