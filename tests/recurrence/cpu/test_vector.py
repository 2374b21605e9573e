import itertools

import llvmlite.ir as ir
import numpy as np
import pytest
import torch

from recurra.recurrence.cpu.machine import host
from recurra.recurrence.cpu.vector import INT64, Vectors
from tests.recurrence.cpu.compiled import MACHINES, mapped

INF, NAN = float("inf"), float("nan")
EDGES = (0.0, -0.0, 1.0, -1.5, 2.5, 3.5, -0.5, 0.5, 1e-42, -1e-42, 3e38, -3e38, 8388609.0, INF, -INF, NAN)
PAIRS = [np.array(side, dtype=np.float64) for side in zip(*itertools.product(EDGES, EDGES), strict=True)]
every_machine = pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES.keys())
every_type = pytest.mark.parametrize("dtype", ["float32", "float64"])

UNARY = {
    "neg": torch.neg,
    "abs": torch.abs,
    "sqrt": lambda x: torch.from_numpy(np.sqrt(x.numpy())),  # torch's own is not always the nearest
    "floor": torch.floor,
    "round": torch.round,
    "trunc": torch.trunc,
}
BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "minimum": torch.minimum,
    "maximum": torch.maximum,
    "with_sign_of": torch.copysign,
}
COMPARISONS = {"==": torch.eq, "!=": torch.ne, "<": torch.lt, "<=": torch.le, ">": torch.gt, ">=": torch.ge}


def tensors(arrays, dtype):
    return [torch.from_numpy(array.astype(dtype)) for array in arrays]


@every_machine
@every_type
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
def test_arithmetic_equals_torch_on_all_pairs_of_edges(machine, dtype):
    for name, operation in UNARY.items():
        got = mapped(lambda v, a, name=name: getattr(v, name)(a), machine, dtype, PAIRS[0])
        np.testing.assert_array_equal(got, operation(*tensors(PAIRS[:1], dtype)).numpy(), err_msg=name)
    for name, operation in BINARY.items():
        got = mapped(lambda v, a, b, name=name: getattr(v, name)(a, b), machine, dtype, *PAIRS)
        np.testing.assert_array_equal(got, operation(*tensors(PAIRS, dtype)).numpy(), err_msg=name)


@every_machine
@every_type
def test_comparisons_and_selection_equal_torch(machine, dtype):
    for operator, operation in COMPARISONS.items():

        def chosen(v, a, b, operator=operator):
            return v.select(v.compare(operator, a, b), a, v.constant(7.0))

        a, b = tensors(PAIRS, dtype)
        want = torch.where(operation(a, b), a, torch.tensor(7.0, dtype=a.dtype))
        np.testing.assert_array_equal(mapped(chosen, machine, dtype, *PAIRS), want.numpy(), err_msg=operator)


@every_machine
def test_halves_round_to_even_and_signs_of_zero_stay(machine):
    x = np.array([0.5, 1.5, 2.5, -0.5, -0.0])
    got = mapped(lambda v, a: v.round(a), machine, "float32", x)
    assert got.tolist() == [0.0, 2.0, 2.0, -0.0, -0.0]
    assert np.signbit(got).tolist() == [False, False, False, True, True]


def test_a_fused_product_is_rounded_once_and_others_twice():
    """(1 + 2^-12)^2 - 1 = 2^-11 + 2^-24, of which the product, rounded by itself, loses the last part."""
    if host().bytes_per_vector == 16 and "x86_64" in host().triple:
        pytest.skip("needs fused multiply-add")
    a, c = np.full(1, 1 + 2.0**-12), np.full(1, -1.0)
    assert mapped(lambda v, a, c: v.fma(a, a, c), host(), "float32", a, c)[0] == 2.0**-11 + 2.0**-24
    assert mapped(lambda v, a, c: v.add(v.mul(a, a), c), host(), "float32", a, c)[0] == 2.0**-11


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32])
def test_reductions_go_over_all_lanes_in_halves(count):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(count).astype(np.float32)
    want = x.copy()
    while want.size > 1:
        want = want[: want.size // 2] + want[want.size // 2 :]
    total = mapped(lambda v, a: v.broadcast(v.sum(a)), host(), "float32", x, count=count)
    greatest = mapped(lambda v, a: v.broadcast(v.max(a)), host(), "float32", x, count=count)
    assert total.tolist() == [want[0]] * count
    assert greatest.tolist() == [x.max()] * count
    x[-1] = NAN
    assert np.isnan(mapped(lambda v, a: v.broadcast(v.max(a)), host(), "float32", x, count=count)).all()


def test_totals_of_several_vectors_are_each_vectors_sum():
    x = np.random.default_rng(1).standard_normal(8).astype(np.float32)

    def together(v, a):
        rows = [v.mul(a, v.constant(row + 1.0)) for row in range(8)]
        return v.sub(
            v.totals(rows),
            v.concatenate([Vectors(v.builder, v.module, v.dtype, 1).broadcast(v.sum(row)) for row in rows]),
        )

    assert mapped(together, host(), "float32", x, count=8).tolist() == [0.0] * 8


def test_masked_memory_holds_zeros_and_stays_as_it_is():
    x = np.arange(1.0, 9.0, dtype=np.float32)

    def masked(v, a):
        place = v.builder.alloca(v.vector)
        v.store(v.constant(-1.0), place)
        few = v.first(v.builder.fptosi(v.lane(a, 2), INT64))
        v.store_masked(a, place, 0, few)
        return v.add(v.load(place), v.load_masked(place, 0, few))

    assert mapped(masked, host(), "float32", x, count=8).tolist() == [2.0, 4.0, 6.0] + [-1.0] * 5


@pytest.mark.parametrize("count", [0, 3, 12])
def test_lanes_are_a_power_of_two(count):
    with pytest.raises(ValueError, match=f"power of two, got {count}"):
        Vectors(ir.IRBuilder(), ir.Module(), "float32", count)
