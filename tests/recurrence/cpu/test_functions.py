"""Elementary functions against torch in float64 (of float32) and mpmath (of float64)."""

import mpmath
import numpy as np
import pytest
import torch

from recurra.recurrence.cpu.machine import host
from tests.recurrence.cpu.compiled import MACHINES, map_module, mapped

ULP = {  # largest error allowed; without fused multiply-add the polynomials lose a little more
    "exp": 1.25,
    "expm1": 2.0,
    "log": 0.9,
    "log1p": 1.5,
    "tanh": 2.6,
    "sigmoid": 2.5,
    "erf": 1.3,
}
LIBM = {"sin": torch.sin, "cos": torch.cos}
INF, NAN = float("inf"), float("nan")
TINY = {"float32": 2.0**-126, "float64": 2.0**-1022}  # the least normal numbers


def apply(name, machine, dtype, x, count=None):
    return mapped(lambda v, a: getattr(v, name)(a), machine, dtype, x, count=count)


def ulps(got, want, dtype):
    """Errors in units of the last place of the right result, given in more digits."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = want.astype(dtype)
        error = np.abs(got.astype(want.dtype) - want) / np.spacing(np.abs(rounded))
    finite = np.isfinite(rounded)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    return np.where(finite, error, np.where(same, 0, np.inf)).astype(np.float64)


def torch_reference(name, x):
    return getattr(torch, name)(torch.from_numpy(x).double()).numpy()


def float32_sample():
    """Every 4099th of all float32, denormals, infinities and what is not a number included."""
    with np.errstate(invalid="ignore"):
        return np.arange(0, 2**32, 4099, dtype=np.uint64).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("name", ULP)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES.keys())
def test_float32_over_its_whole_range(name, machine):
    x = float32_sample()
    want = torch_reference(name, x)
    error = ulps(apply(name, machine, "float32", x), want, "float32")
    if name == "sigmoid":  # zero where the result is no normal number
        error[want < TINY["float32"]] = 0
    worst = int(error.argmax())
    assert error[worst] <= ULP[name], f"{name}({x[worst]!r}) is {error[worst]} ulp off"


@pytest.mark.parametrize("name", ULP)
def test_float64_is_good_to_a_few_units(name):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal(500) * 3, rng.standard_normal(500) * 10.0 ** rng.uniform(-18, 3, 500)])
    x = np.abs(x) if name.startswith("log") else np.clip(x, -700, 700)
    with mpmath.workdps(40):
        function = (lambda y: 1 / (1 + mpmath.exp(-y))) if name == "sigmoid" else getattr(mpmath, name)
        exact = [function(mpmath.mpf(float(y))) for y in x]
        got = apply(name, host(), "float64", x)
        spacing = np.spacing(np.abs(np.array([float(y) for y in exact])))
        error = [
            abs((mpmath.mpf(float(g)) - e) / mpmath.mpf(float(s))) for g, e, s in zip(got, exact, spacing, strict=True)
        ]
    assert max(error) <= ULP[name]


SPECIAL = {
    "exp": [(0.0, 1.0), (INF, INF), (-INF, 0.0), (1e5, INF), (-1e5, 0.0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (1e5, INF), (-1e5, -1.0)],
    "log": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (INF, INF), (-1.0, NAN), (-INF, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (INF, INF), (-1.5, NAN), (-INF, NAN)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (50.0, 1.0), (-50.0, -1.0)],
    "sigmoid": [(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (100.0, 1.0), (-800.0, 0.0)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (9.0, 1.0), (-9.0, -1.0)],
}


@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES.keys())
def test_ends_zeros_and_what_is_not_a_number(name, dtype, machine):
    x, want = (np.array(side) for side in zip(*SPECIAL[name], (NAN, NAN), strict=True))
    got = apply(name, machine, dtype, x)
    np.testing.assert_array_equal(got, want.astype(dtype))
    assert np.signbit(got[:-1][want[:-1] == 0]).tolist() == np.signbit(want[:-1][want[:-1] == 0]).tolist()


def test_quotients_are_almost_those_of_a_division():
    rng = np.random.default_rng(1)
    a, b = (np.exp2(rng.uniform(-60, 60, 100_000)).astype(np.float32) for _ in range(2))
    want = a.astype(np.float64) / b
    for count in (1, 2, 4, 16, 32):
        got = mapped(lambda v, a, b: v.quotient(a, b), host(), "float32", a, b, count=count)
        assert ulps(got, want, "float32").max() <= 0.51


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_denormals(dtype):
    x = np.array([1.0, 3.0, 12345.0]) * TINY[dtype] * np.finfo(dtype).eps
    for name in ("expm1", "log1p", "tanh"):
        np.testing.assert_array_equal(apply(name, host(), dtype, x), x.astype(dtype), err_msg=name)
    np.testing.assert_allclose(apply("log", host(), dtype, x), np.log(x), rtol=2 * np.finfo(dtype).eps)


def test_sigmoid_and_tanh_never_leave_their_range():
    x = float32_sample()
    x = x[~np.isnan(x)]
    assert apply("sigmoid", host(), "float32", x).min() >= 0 and apply("sigmoid", host(), "float32", x).max() <= 1
    assert np.abs(apply("tanh", host(), "float32", x)).max() <= 1


@pytest.mark.parametrize("name", ULP)
def test_bits_do_not_depend_on_the_lanes(name):
    x = np.random.default_rng(2).standard_normal(4096).astype(np.float32) * 5
    want = apply(name, host(), "float32", x)
    for count in (1, 2, 8, 32):
        np.testing.assert_array_equal(apply(name, host(), "float32", x, count), want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES.keys())
def test_the_librarys_functions_lane_by_lane(dtype, machine):
    x = np.concatenate([np.linspace(-50, 50, 1001), [INF, NAN, 0.0]])
    for name in ("sin", "cos"):
        want = torch_reference(name, x.astype(dtype))
        np.testing.assert_allclose(apply(name, machine, dtype, x), want, rtol=0, atol=np.finfo(dtype).eps)
    base, power = np.abs(x) + 0.5, np.tile([0.0, 0.5, -1.5, 2.0], 251)
    got = mapped(lambda v, a, b: v.pow(a, b), machine, dtype, base, power)
    want = np.power(base.astype(dtype).astype(np.float64), power)
    np.testing.assert_allclose(got, want, rtol=2 * np.finfo(dtype).eps)


def test_a_function_is_emitted_once_per_module():
    text = str(map_module(lambda v, a: v.tanh(v.tanh(v.tanh(a))), "float32", 8))
    assert text.count("define internal") == 1 and text.count('call <8 x float> @"tanh.v8f32"') == 3
