"""Sums of outer products of rounded factors against torch in float64."""

import pytest
import torch

from recurra.recurrence.cpu.machine import host
from recurra.recurrence.cpu.outer import CHUNK, Rows, outer_products

if not host().bfloat16:
    pytest.skip("the processor multiplies no bfloat16", allow_module_level=True)

SIZES = {
    "one of all": (1, 1, 1, (1,)),
    "less than a tile": (3, 5, 20, (7,)),
    "two factors": (35, 20, 130, (64, 33)),
    "many chunks": (2 * CHUNK // 8 + 3, 17, 64, (16, 5, 40)),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())
def test_sums_are_of_rounded_factors_wherever_their_rows_lie(sizes, half, threads):
    steps, batch, width, widths = sizes
    draw = torch.Generator().manual_seed(0)
    whole = torch.randn(steps, batch, width + 8, generator=draw)
    series = (whole.bfloat16() if half else whole)[:, :, 3 : 3 + width]  # columns among others, at an odd address
    rights, wanted = [], []
    for number, each in enumerate(widths):
        values = torch.randn(batch, steps, each, generator=draw).transpose(0, 1)  # the batch first in memory
        start = torch.randn(batch, each, generator=draw) if number == 0 else None
        rights.append(Rows(values if number != 1 else values.bfloat16(), start))
        wanted.append(values if start is None else torch.cat([start.unsqueeze(0), values[:-1]]))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = outer_products(Rows(series), rights)
    finally:
        torch.set_num_threads(before)
    left = series.bfloat16().double().flatten(0, 1)
    for got, values in zip(found, wanted, strict=True):
        right = values.bfloat16().double().flatten(0, 1)
        # float32 additions in pairs and chunks: far fewer than one rounding each
        bound = (steps * batch + 2) * 2.0**-23 * (left.abs().T @ right.abs())
        assert got.shape == (width, values.shape[2]) and ((got.double() - left.T @ right).abs() <= bound).all()


def test_a_factor_that_is_the_same_in_all_rows():
    (found,) = outer_products(Rows(torch.ones(6, 2, 5)), [Rows(torch.ones(1, 1, 1).expand(6, 2, 1))])
    assert torch.equal(found, torch.full((5, 1), 12.0))
