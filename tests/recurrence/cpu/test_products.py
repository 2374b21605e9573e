"""The product kernels against torch in float64, with nothing but guard pages behind every buffer."""

import llvmlite.ir as ir
import numpy as np
import pytest
import torch

from recurra.recurrence.cpu.machine import assembly, host, machine
from recurra.recurrence.cpu.products import kernels
from recurra.recurrence.cpu.tile import emit_tile
from tests.recurrence.cpu.compiled import MACHINES, Guarded, call

every_machine = pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES.keys())
every_type = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def of(machine, dtype):
    return kernels(machine, "float32" if dtype == torch.float32 else "float64")


def random(*shape, dtype, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def bound(a, w, dtype, start=None):
    """What k additions, each rounded, can lose: (k + 1) half ulp of the sum of magnitudes."""
    magnitude = a.abs().double() @ w.abs().double() + (0 if start is None else start.abs().double())
    return (a.shape[1] + 2) * torch.finfo(dtype).eps / 2 * magnitude


def run_tile(kernel, vectors, rows, lanes, a, panel, out, accumulate):
    buffers = [Guarded(tensor) for tensor in (a, panel, out)]
    a, panel, out = buffers
    k = panel.tensor.shape[0]
    sizes = a.tensor.shape[1], out.tensor.shape[1]
    # what is fetched ahead may be no one's memory
    call(kernel, a.pointer, sizes[0], panel.pointer, k, out.pointer, sizes[1], accumulate, 1 << 44)
    assert all(buffer.untouched_before() for buffer in buffers)
    result = out.tensor.clone()
    for buffer in buffers:
        buffer.close()
    return result


@every_machine
@every_type
@pytest.mark.parametrize("vectors, rows", [(1, 1), (4, 1), (2, 5), (4, 6), (3, 8)])
def test_tile_is_a_product_and_its_rows_are_summed_alike(machine, dtype, vectors, rows):
    made = of(machine, dtype)
    width = vectors * made.lanes
    for k in (0, 1, 3, 8, 101):
        a, panel, out = (random(*shape, dtype=dtype) for shape in ((rows, k + 2), (k, width), (rows, width)))
        for accumulate in (0, 1):
            got = run_tile(made.tile(vectors, rows), vectors, rows, made.lanes, a, panel, out, accumulate)
            start = out if accumulate else torch.zeros_like(out)
            want = start.double() + a[:, :k].double() @ panel.double()
            assert ((got.double() - want).abs() <= bound(a[:, :k], panel, dtype, start)).all()
            for row in range(rows):
                alone = run_tile(
                    made.tile(vectors, 1),
                    vectors,
                    1,
                    made.lanes,
                    a[row : row + 1],
                    panel,
                    out[row : row + 1],
                    accumulate,
                )
                assert torch.equal(alone[0], got[row])


@every_type
def test_a_tile_in_two_parts_of_k_has_the_same_bits(dtype):
    made = of(host(), dtype)
    a, panel = random(2, 37, dtype=dtype), random(37, made.lanes, dtype=dtype)
    out = torch.full((2, made.lanes), torch.nan, dtype=dtype)
    whole = run_tile(made.tile(1, 2), 1, 2, made.lanes, a, panel, out, 0)
    part = run_tile(made.tile(1, 2), 1, 2, made.lanes, a[:, :14], panel[:14], out, 0)
    assert torch.equal(run_tile(made.tile(1, 2), 1, 2, made.lanes, a[:, 14:], panel[14:], part, 1), whole)


@every_machine
@every_type
@pytest.mark.parametrize("k", [0, 1, 4, 7, 33])
@pytest.mark.parametrize("strides", ["rows", "columns", "neither"])
def test_pack_orders_every_layout(machine, dtype, k, strides):
    made = of(machine, dtype)
    lanes, count = made.lanes, 3
    storage, (stride_n, stride_k) = {
        "rows": (random(lanes, k, dtype=dtype), (k, 1)),
        "columns": (random(k, lanes, dtype=dtype), (1, lanes)),
        "neither": (random(lanes, k * 2, dtype=dtype)[:, : max(2 * k - 1, 0)].contiguous(), (max(2 * k - 1, 0), 2)),
    }[strides]
    w, panel = Guarded(storage), Guarded(torch.full((k, count, lanes), -1.0, dtype=dtype))
    for which in (0, 2):
        call(made.pack(), w.pointer, stride_n, stride_k, k, panel.pointer, count, which)
    want = storage.t() if strides == "columns" else storage[:, ::stride_k]
    for which in (0, 2):
        assert torch.equal(panel.tensor[:, which], want.t())
    assert (panel.tensor[:, 1] == -1.0).all() and panel.untouched_before()
    w.close()
    panel.close()


@every_machine
@every_type
@pytest.mark.parametrize("name", ["dots", "columns"])
@pytest.mark.parametrize("n, k", [(1, 1), (8, 16), (7, 5), (19, 37), (33, 64), (3, 0), (0, 3)])
def test_streaming_products(machine, dtype, name, n, k):
    made = of(machine, dtype)
    rows, pad = 2, 3
    a, out = random(rows, k, dtype=dtype), random(rows, n + pad, dtype=dtype, seed=1)[:, : n + pad]
    w = random(*((n, k) if name == "dots" else (k, n)), dtype=dtype, seed=2)
    matrix = w.t() if name == "dots" else w
    for accumulate in (0, 1):
        buffers = [Guarded(tensor) for tensor in (a, w, out.flatten()[: (rows - 1) * (n + pad) + n])]
        values, weights, target = buffers
        call(
            getattr(made, name)(),
            values.pointer,
            k,
            rows,
            weights.pointer,
            w.shape[1],
            n,
            k,
            target.pointer,
            n + pad,
            accumulate,
        )
        got = torch.as_strided(target.tensor, (rows, n), (n + pad, 1)).clone()
        between = target.tensor[n : n + pad].clone()
        assert all(buffer.untouched_before() for buffer in buffers)
        for buffer in buffers:
            buffer.close()
        start = out[:, :n] if accumulate else torch.zeros_like(out[:, :n])
        want = start.double() + a.double() @ matrix.double()
        assert ((got.double() - want).abs() <= bound(a, matrix, dtype, start)).all()
        assert torch.equal(between, out[0, n : n + pad])


@every_type
def test_columns_have_the_bits_of_the_tile(dtype):
    made = of(host(), dtype)
    k, n = 43, 2 * made.lanes
    a, w, out = random(1, k, dtype=dtype), random(k, n, dtype=dtype), torch.zeros(1, n, dtype=dtype)
    call(made.columns(), a.data_ptr(), k, 1, w.data_ptr(), n, n, k, out.data_ptr(), n, 0)
    assert torch.equal(out, run_tile(made.tile(2, 1), 2, 1, made.lanes, a, w, torch.zeros_like(out), 0))


@every_type
def test_a_dot_does_not_depend_on_its_neighbours(dtype):
    made = of(host(), dtype)
    n, k = 13, 75
    a, w, out = random(1, k, dtype=dtype), random(n, k, dtype=dtype), torch.zeros(1, n, dtype=dtype)
    call(made.dots(), a.data_ptr(), k, 1, w.data_ptr(), k, n, k, out.data_ptr(), n, 0)
    for row in range(n):
        alone = torch.zeros(1, dtype=dtype)
        call(made.dots(), a.data_ptr(), k, 1, w[row].data_ptr(), k, 1, k, alone.data_ptr(), 1, 0)
        assert torch.equal(alone[0], out[0, row])


def test_kernels_are_made_once():
    made = kernels(host(), "float32")
    assert kernels(host(), "float32") is made and made.tile(2, 3) == made.tile(2, 3) != made.tile(2, 4)
    with pytest.raises(ValueError, match="at least one vector and one row, got 0 and 3"):
        made.tile(0, 3)


def test_the_largest_tile_stays_in_registers():
    limits = {
        level: [kernels(machine(level), "float32").rows_limit(v) for v in (1, 2, 3, 4)] for level in ("avx512", "avx2")
    }
    assert limits == {"avx512": [8, 8, 8, 6], "avx2": [8, 6, 4, 2]}


@pytest.mark.parametrize("level, vectors", [("avx512", 4), ("avx512", 3), ("avx2", 2), ("neon", 4), ("neon", 3)])
def test_sums_never_go_to_memory_inside_the_loop(level, vectors):
    """Between the first and the last fused product of the text no vector is stored."""
    module, target = ir.Module(), machine(level)
    made = kernels(target, "float32")
    emit_tile(module, "float32", made.lanes, vectors, made.rows_limit(vectors))
    lines = assembly(module, target).splitlines()
    fused = [number for number, line in enumerate(lines) if "vfmadd" in line or "fmla" in line]
    assert len(fused) >= made.rows_limit(vectors) * vectors
    stores = ("vmovups", "vmovaps", "str\t", "stp\t")
    inside = [line for line in lines[fused[0] : fused[-1]] if any(s in line for s in stores)]
    spilled = [line for line in inside if ("rsp)" in line.split(",")[-1] or "[sp" in line)]
    assert spilled == []


def test_neon_multiplies_and_adds_at_once():
    module = ir.Module()
    emit_tile(module, "float32", 4, 2, 4)
    assert "fmla\tv" in assembly(module, machine("neon"))


def test_numbers_that_are_not_numbers_pass_through_and_tails_add_none():
    made = kernels(host(), "float32")
    w = torch.zeros(3, 5)
    w[1, 4] = torch.nan
    a, out = torch.full((1, 5), np.inf), torch.zeros(1, 3)
    call(made.dots(), a.data_ptr(), 5, 1, w.data_ptr(), 5, 3, 5, out.data_ptr(), 3, 0)
    assert out.isnan().all()  # inf times 0
    a = torch.ones(1, 5)
    call(made.dots(), a.data_ptr(), 5, 1, w.data_ptr(), 5, 3, 5, out.data_ptr(), 3, 0)
    assert out.isnan().tolist() == [[False, True, False]]
