"""Elementary functions as vector code: argument reduction by the exponent's bits, then a polynomial.

The polynomials are least-maximum fits (Remez) of the relative error on the reduced interval. "ulp" is the largest error
seen, in units of the last place of the exact result, over every fourth float32 and over millions of float64 (after the
comma) with fused multiply-add; without it at most 0.3 more. What is not a number stays so.
"""

from dataclasses import dataclass
from math import inf, nan

from recurra.recurrence.cpu.machine import DType
from recurra.recurrence.cpu.vector import Value, Vectors


@dataclass(frozen=True)
class Format:
    """The constants of a float type.

    Args:
        mantissa: bits after the point.
        bias: of the exponent.
        log2_high: ln 2 without its last bits: exact times any exponent.
        log2_low: the rest of ln 2.
        exp: (exp(r) - 1 - r) / r² for |r| <= ln(2) / 2.
        log: (2 atanh(s) - 2 s) / s³ as a function of s² for s <= (√2 - 1) / (√2 + 1).
        erf: erf(x) / x - 1 as a function of x² for x <= 1.
        erfc: -log(1 - erf(x)) for 1 <= x.
        erf_one: where erf rounds to one.
        tanh_one: where tanh rounds to one.
        sigmoid_zero: where the sigmoid is no normal number any more.
        sigmoid_one: where the sigmoid rounds to one.
        exp_zero, exp_inf: where exp underflows and overflows.
        expm1_minus_one: where expm1 rounds to -1.
    """

    mantissa: int
    bias: int
    log2_high: float
    log2_low: float
    exp: tuple[float, ...]
    log: tuple[float, ...]
    erf: tuple[float, ...]
    erfc: tuple[float, ...]
    erf_one: float
    tanh_one: float
    sigmoid_zero: float
    sigmoid_one: float
    exp_zero: float
    exp_inf: float
    expm1_minus_one: float


FLOAT32 = Format(
    mantissa=23,
    bias=127,
    log2_high=0.693145751953125,
    log2_low=1.42860677e-06,
    exp=(0.4999999701976776, 0.16666539013385773, 0.041667234152555466, 0.008367184549570084, 0.0013881648192182183),
    log=(0.6666678190231323, 0.39976608753204346, 0.2989877462387085),
    erf=(
        0.1283791670955126,
        -0.3761262595653534,
        0.1128358542919159,
        -0.026853814721107483,
        0.005188330542296171,
        -0.0008010202436707914,
        7.853849820094183e-05,
    ),
    erfc=(
        0.0003206293913535774,
        1.1271713972091675,
        0.6380125880241394,
        0.10321787744760513,
        -0.02188948728144169,
        0.0029600756242871284,
        -0.0001876008464023471,
    ),
    erf_one=4.0,
    tanh_one=10.0,
    sigmoid_zero=-88.0,
    sigmoid_one=20.0,
    exp_zero=-104.0,
    exp_inf=89.0,
    expm1_minus_one=-18.0,
)
FLOAT64 = Format(
    mantissa=52,
    bias=1023,
    log2_high=0.6931471805598903,
    log2_low=5.497923018708371e-14,
    exp=(
        0.5,
        0.16666666666666677,
        0.04166666666666649,
        0.008333333333320737,
        0.0013888888888968368,
        0.00019841269888685821,
        2.4801587164709383e-05,
        2.7557241366706083e-06,
        2.7557405982842917e-07,
        2.5110110687924763e-08,
        2.087530362420509e-09,
    ),
    log=(
        0.6666666666666745,
        0.39999999999338964,
        0.285714287606861,
        0.22222196560095459,
        0.18183675382021178,
        0.15311057407713205,
        0.14827308106099618,
    ),
    erf=(
        0.1283791670955126,
        -0.3761263890318375,
        0.11283791670954858,
        -0.02686617064507296,
        0.00522397762478137,
        -0.0008548326978765149,
        0.00012055331037551108,
        -1.4925593518728226e-05,
        1.6460972954153765e-06,
        -1.635002619207727e-07,
        1.4657883530919653e-08,
        -1.136567067182716e-09,
        5.945255584223488e-11,
    ),
    erfc=(
        1.6456723479578147e-07,
        1.128377476147943,
        0.6366278208353022,
        0.10274913375877535,
        -0.019081831675462683,
        -0.00027519776272718585,
        0.00176318804906744,
        -0.0006361895261518538,
        4.144332422043667e-05,
        7.219246548849817e-05,
        -4.58252685035049e-05,
        1.6784820973429457e-05,
        -4.400690106802686e-06,
        8.661942303657451e-07,
        -1.282323878368852e-07,
        1.3927763199321535e-08,
        -1.0505613681700582e-09,
        4.923041395361044e-11,
        -1.0798321546632199e-12,
    ),
    erf_one=6.0,
    tanh_one=20.0,
    sigmoid_zero=-709.1,
    sigmoid_one=40.0,
    exp_zero=-745.2,
    exp_inf=710.0,
    expm1_minus_one=-38.0,
)
FORMATS: dict[DType, Format] = {"float32": FLOAT32, "float64": FLOAT64}
LOG2_E, LOG_2 = 1.4426950408889634, 0.6931471805599453
SQRT_HALF: dict[DType, int] = {"float32": 0x3F3504F3, "float64": 0x3FE6A09E667F3BCD}  # its bits


def exp(v: Vectors, x: Value) -> Value:
    """Right into the denormals, then 0; inf above the largest float. 0.92 ulp, 0.86."""
    c = FORMATS[v.dtype]
    x = v.clamp(x, c.exp_zero, c.exp_inf)
    bits, r = _reduce(v, x, 2 * (c.bias + 1))
    # two factors: the power of two alone may lie outside the normal numbers where the product does not
    power = v.builder.and_(bits, v.bits(8 * c.bias + 7))
    half = v.builder.lshr(power, v.bits(1))
    rest = v.builder.sub(power, half)
    one, two = (_power_of_two(v, v.builder.sub(part, v.bits(1))) for part in (half, rest))
    return v.mul(v.mul(_exp_near_zero(v, r), one), two)


def expm1(v: Vectors, x: Value) -> Value:
    """exp(x) - 1. 1.59 ulp, 1.81."""
    c = FORMATS[v.dtype]
    bits, r = _reduce(v, v.clamp(x, c.expm1_minus_one, c.exp_inf), c.bias - 1)
    half_scale = _power_of_two(v, bits)
    q = v.fma(v.mul(r, r), v.polynomial(r, c.exp), r)
    half = v.fma(half_scale, q, v.sub(half_scale, v.constant(0.5)))
    tiny = v.compare("<", v.abs(x), v.constant(2.0 ** (-c.mantissa - 2)))
    return v.select(tiny, x, v.add(half, half))


def sigmoid(v: Vectors, x: Value) -> Value:
    """1 / (1 + exp(-x)) as e / (1 + e), whose division cannot exceed 1. 2.40 ulp, 2.36.

    A result below the normal numbers (x < -87.3 in float32) may be 0 for it.
    """
    c = FORMATS[v.dtype]
    bits, r = _reduce(v, v.clamp(x, c.sigmoid_zero, c.sigmoid_one), c.bias)
    scale, p = _power_of_two(v, bits), _exp_near_zero(v, r)
    return v.quotient(v.mul(p, scale), v.fma(p, scale, v.constant(1.0)))


def tanh(v: Vectors, x: Value) -> Value:
    """h / (h + 1) with h = (exp(2 |x|) - 1) / 2, and the sign of x. 2.51 ulp, 2.52."""
    c = FORMATS[v.dtype]
    a = v.at_most(v.abs(x), v.constant(c.tanh_one))
    magic = v.constant(1.5 * 2.0**c.mantissa + c.bias)
    power = v.fma(a, v.constant(2 * LOG2_E), magic)
    # tanh is as exact as its argument, so that ln 2 needs no second part; r is half the usual one
    r = v.fma(v.sub(power, magic), v.constant(-LOG_2 / 2), a)
    scale = _power_of_two(v, v.builder.bitcast(power, v.integers))
    doubled = tuple(coefficient * 2 ** (i + 1) for i, coefficient in enumerate(c.exp))
    q = v.fma(v.mul(r, r), v.polynomial(r, doubled), r)
    h = v.fma(scale, q, v.fma(scale, v.constant(0.5), v.constant(-0.5)))
    return v.with_sign_of(v.quotient(h, v.add(h, v.constant(1.0))), x)


def log(v: Vectors, x: Value) -> Value:
    """-inf at 0, not a number below. 0.81 ulp, 0.83."""
    c = FORMATS[v.dtype]
    denormal = v.compare("<", x, v.constant(2.0 ** (1 - c.bias)))
    normal = v.select(denormal, v.mul(x, v.constant(2.0**c.mantissa)), x)
    power, m = _split(v, normal)
    shift = v.select(denormal, v.constant(-float(c.mantissa)), v.constant(0.0))
    result = _log_near_one(v, v.sub(m, v.constant(1.0)), v.add(_as_float(v, power), shift))
    return _log_ends(v, x, result)


def log1p(v: Vectors, x: Value) -> Value:
    """log(1 + x); -inf at -1, not a number below. 0.83 ulp, 1.39."""
    c = FORMATS[v.dtype]
    one = v.constant(1.0)
    u = v.add(x, one)
    lost = v.select(v.compare("<", x, one), v.sub(x, v.sub(u, one)), v.sub(one, v.sub(u, x)))  # 1 + x = u + lost
    power, m = _split(v, u)
    unscale = _power_of_two(v, v.builder.sub(v.bits(2 * c.bias + 1), power))  # twice it: the least is then 0, not less
    f = v.fma(v.mul(lost, v.constant(0.5)), unscale, v.sub(m, one))
    result = _log_ends(v, u, _log_near_one(v, f, _as_float(v, power)))
    return v.select(v.compare("<", v.abs(x), v.constant(2.0 ** (-c.mantissa - 2))), x, result)


def erf(v: Vectors, x: Value) -> Value:
    """x P(x²) below 1, above it 1 - exp(-Q(|x|)). 1.16 ulp, 1.03."""
    c = FORMATS[v.dtype]
    a = v.at_most(v.abs(x), v.constant(c.erf_one))
    small = v.fma(a, v.polynomial(v.mul(a, a), c.erf), a)
    bits, r = _reduce(v, v.neg(v.polynomial(a, c.erfc)), c.bias)
    large = v.fma(v.neg(_exp_near_zero(v, r)), _power_of_two(v, bits), v.constant(1.0))
    return v.with_sign_of(v.select(v.compare("<", a, v.constant(1.0)), small, large), x)


def _reduce(v: Vectors, x: Value, offset: int) -> tuple[Value, Value]:
    """Bits that end in n + ``offset``, and r with x = n ln 2 + r, |r| <= ln(2) / 2."""
    c = FORMATS[v.dtype]
    magic = v.constant(1.5 * 2.0**c.mantissa + offset)  # added to a number, it leaves its integer in the last bits
    power = v.fma(x, v.constant(LOG2_E), magic)
    n = v.sub(power, magic)
    r = v.fma(n, v.constant(-c.log2_low), v.fma(n, v.constant(-c.log2_high), x))
    return v.builder.bitcast(power, v.integers), r


def _exp_near_zero(v: Vectors, r: Value) -> Value:
    return v.polynomial(r, (1.0, 1.0, *FORMATS[v.dtype].exp))


def _power_of_two(v: Vectors, bits: Value) -> Value:
    """The power whose biased exponent the last bits hold."""
    return v.builder.bitcast(v.builder.shl(bits, v.bits(FORMATS[v.dtype].mantissa)), v.vector)


def _split(v: Vectors, x: Value) -> tuple[Value, Value]:
    """The biased exponent, and m with x = 2^n m, √½ <= m < √2, of a positive normal number."""
    c = FORMATS[v.dtype]
    root = SQRT_HALF[v.dtype]
    bits = v.builder.add(v.builder.bitcast(x, v.integers), v.bits((c.bias << c.mantissa) - root))
    fraction = v.builder.and_(bits, v.bits(2**c.mantissa - 1))
    power = v.builder.lshr(bits, v.bits(c.mantissa))
    return power, v.builder.bitcast(v.builder.add(fraction, v.bits(root)), v.vector)


def _as_float(v: Vectors, power: Value) -> Value:
    """A biased exponent as a number."""
    c = FORMATS[v.dtype]
    one = (c.bias + c.mantissa) << c.mantissa  # 2^mantissa, whose last bits are the integer
    return v.sub(v.builder.bitcast(v.builder.or_(power, v.bits(one)), v.vector), v.constant(2.0**c.mantissa + c.bias))


def _log_near_one(v: Vectors, f: Value, n: Value) -> Value:
    """log(2^n (1 + f)) = n ln 2 + f - f²/2 + s (f²/2 + s² L(s²)), s = f / (2 + f)."""
    c = FORMATS[v.dtype]
    s = v.quotient(f, v.add(f, v.constant(2.0)))
    z = v.mul(s, s)
    half_square = v.mul(v.mul(f, f), v.constant(0.5))
    tail = v.fma(s, v.fma(z, v.polynomial(z, c.log), half_square), v.mul(n, v.constant(c.log2_low)))
    return v.fma(n, v.constant(c.log2_high), v.sub(f, v.sub(half_square, tail)))


def _log_ends(v: Vectors, x: Value, result: Value) -> Value:
    outside = v.select(v.compare("==", x, v.constant(0.0)), v.constant(-inf), v.constant(nan))
    result = v.select(v.compare("==", x, v.constant(inf)), x, result)
    return v.select(v.compare(">", x, v.constant(0.0)), result, outside)
