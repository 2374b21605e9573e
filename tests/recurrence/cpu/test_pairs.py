"""Products of operands rounded to bfloat16 against torch in float64, with guard pages behind every buffer."""

from dataclasses import replace

import pytest
import torch

from recurra.recurrence.cpu.machine import host
from recurra.recurrence.cpu.pairs import places
from recurra.recurrence.cpu.products import kernels
from tests.recurrence.cpu.compiled import Guarded, call

KINDS = [kind for kind in ("avx512", "amx") if host().bfloat16 in ("amx", kind)]
every_kind = pytest.mark.parametrize("kind", KINDS)
if not KINDS:
    pytest.skip("the processor multiplies no bfloat16", allow_module_level=True)


def made(kind):
    return kernels(replace(host(), bfloat16=kind), "float32", pairs=True)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(kernel, *given):
    """Call with tensors as guarded buffers; the last one comes back, as it is then."""
    buffers = [Guarded(each) if isinstance(each, torch.Tensor) else each for each in given]
    call(kernel, *(each.pointer if isinstance(each, Guarded) else each for each in buffers))
    guarded = [each for each in buffers if isinstance(each, Guarded)]
    assert all(each.untouched_before() for each in guarded)
    results = [each.tensor.clone() for each in guarded]
    for each in guarded:
        each.close()
    return results


def numbers(pairs):
    """The bfloat16 numbers behind float32 places, in order."""
    return pairs.view(torch.bfloat16).float()


@pytest.mark.parametrize("k", [1, 2, 31, 32, 33, 64, 101])
def test_rounding_is_torchs_and_filled_up_with_zeros(k):
    a = random(5, k + 3)
    a[0, 0], a[1, 0], a[2, 0] = float("inf"), float("nan"), -1e30
    out = torch.full((5, places(k) + 16), 7.0)
    (_, got) = run(made(KINDS[0]).round(), a, k + 3, 5, k, out, places(k) + 16)
    want = torch.zeros(5, 2 * places(k))
    want[:, :k] = a[:, :k].bfloat16().float()
    assert torch.equal(numbers(got)[:, : 2 * places(k)].nan_to_num(9.0), want.nan_to_num(9.0))
    assert (got[:, places(k) :] == 7).all()
    rows = a[:, :k].bfloat16().contiguous()
    (_, again) = run(made(KINDS[0]).collect(), rows, k, 5, k, out, places(k) + 16)
    assert torch.equal(numbers(again).nan_to_num(9.0), numbers(got).nan_to_num(9.0))


@pytest.mark.parametrize("strides", ["rows", "columns", "neither"])
@pytest.mark.parametrize("k", [1, 2, 5, 16, 31, 33, 64])
def test_packing_puts_neighbours_along_the_sum_together(strides, k):
    lanes, vectors, which = 16, 3, 1
    w = random(lanes, k)  # results by operands
    stored, down, across = {
        "rows": (w.contiguous(), k, 1),
        "columns": (w.T.contiguous(), 1, lanes),
        "neither": (torch.stack([w, -w], dim=-1).flatten(1), 2 * k, 2),
    }[strides]
    panel = torch.full((places(k), vectors * lanes), 7.0)
    (_, got) = run(made(KINDS[0]).pack(), stored, down, across, k, panel, vectors, which)
    blocks = got.view(places(k), vectors, lanes)
    want = torch.zeros(2 * places(k), lanes)
    want[:k] = w.T.bfloat16().float()
    assert torch.equal(
        numbers(blocks[:, which].contiguous()).view(-1, lanes, 2).transpose(1, 2).reshape(-1, lanes), want
    )
    assert (blocks[:, [0, 2]] == 7).all()


@every_kind
@pytest.mark.parametrize("vectors, rows", [(1, 1), (4, 1), (2, 5), (4, 8), (3, 8), (4, 16), (3, 17), (1, 31), (4, 32)])
def test_tile_is_a_product_of_rounded_operands(kind, vectors, rows):
    own = made(kind)
    if rows > own.rows_limit(vectors):
        pytest.skip("more rows than this kernel takes")
    for k in (1, 32, 101, 200):
        a, w, out = random(rows, k), random(k, 16 * vectors, seed=1), random(rows, 16 * vectors, seed=2)
        pairs = torch.zeros(rows, 2 * places(k), dtype=torch.bfloat16)
        pairs[:, :k] = a
        filled = torch.zeros(2 * places(k), 16 * vectors, dtype=torch.bfloat16)
        filled[:k] = w
        panel = filled.view(-1, 2, 16 * vectors).transpose(1, 2).contiguous().view(torch.float32).squeeze(-1)
        left, right = a.bfloat16().double(), w.bfloat16().double()
        for accumulate in (0, 1):
            start = out.double() if accumulate else 0.0
            given = [pairs.view(torch.float32), places(k), panel, places(k), out, 16 * vectors, accumulate, 1 << 44]
            *_, got = run(own.tile(vectors, rows), *given)
            # what k additions in float32, each rounded, can lose
            magnitude = left.abs() @ right.abs() + (out.abs() if accumulate else 0)
            assert ((got.double() - start - left @ right).abs() <= (k + 2) * 2.0**-23 * magnitude).all()
            for row in {0, rows - 1}:
                alone = [pairs.view(torch.float32)[row : row + 1], places(k), panel, places(k), out[row : row + 1]]
                *_, single = run(own.tile(vectors, 1), *alone, 16 * vectors, accumulate, 1 << 44)
                assert torch.equal(single[0], got[row])
