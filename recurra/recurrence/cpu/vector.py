"""Explicit-vector arithmetic over LLVM's IR, with torch's rules for what is not a number."""

from collections.abc import Callable
from typing import TypeAlias

import llvmlite.ir as ir
from llvmlite.ir import Value

from recurra.recurrence.cpu.machine import BYTES, DType, Element

Index: TypeAlias = Value | int
INT32, INT64, POINTER = ir.IntType(32), ir.IntType(64), ir.PointerType()
ORDERED = ("==", "<", "<=", ">", ">=")


class BFloat16(ir.types._BaseFloatType):
    """LLVM's type; llvmlite has no name for it."""

    null = "0.0"
    intrinsic_name = "bf16"

    def __str__(self) -> str:
        return "bfloat"


BFloat16._create_instance()
_FLOATS: dict[Element, ir.Type] = {"float32": ir.FloatType(), "float64": ir.DoubleType()}


class Vectors:
    """Emits operations on vectors of ``lanes`` floats where ``builder`` stands.

    Nothing is contracted or reordered by LLVM: a product and a sum are rounded once only where `fma` says so.
    The results do not depend on the number of lanes. Elementary functions are emitted once per module, as
    functions that LLVM inlines.

    Args:
        dtype: of the elements; int8 are loaded, stored and moved, no more.
        estimates: whether the machine has AVX-512's estimates of reciprocals.

    Raises:
        ValueError: ``lanes`` is not a power of two.
    """

    def __init__(
        self, builder: ir.IRBuilder, module: ir.Module, dtype: Element, lanes: int, estimates: bool = False
    ) -> None:
        if lanes < 1 or lanes & (lanes - 1):
            raise ValueError(f"lanes are a power of two, got {lanes}")
        self.builder, self.module, self.lanes = builder, module, lanes
        self.dtype: DType = dtype  # type: ignore[assignment]  # all arithmetic is of floats
        self.integer = ir.IntType(8 * BYTES[dtype])
        self.scalar = _FLOATS.get(dtype, self.integer)
        self.vector = ir.VectorType(self.scalar, lanes)
        self.integers = ir.VectorType(self.integer, lanes)
        self.suffix = f"v{lanes}{'f' if dtype in _FLOATS else 'i'}{8 * BYTES[dtype]}"
        self.estimates = estimates and dtype == "float32"

    def constant(self, x: float) -> Value:
        return ir.Constant(self.vector, [ir.Constant(self.scalar, x)] * self.lanes)

    def bits(self, x: int) -> Value:
        """An integer of the floats' size in every lane."""
        return ir.Constant(self.integers, [ir.Constant(self.integer, x)] * self.lanes)

    def at(self, pointer: Value, index: Index) -> Value:
        """The address of the number ``index`` places behind ``pointer``."""
        return self.builder.gep(pointer, [int64(index)], source_etype=self.scalar)

    def load(self, pointer: Value, index: Index = 0) -> Value:
        """The vector that starts ``index`` numbers behind ``pointer``, at any address."""
        return self.builder.load(self.at(pointer, index), typ=self.vector, align=BYTES[self.dtype])

    def store(self, value: Value, pointer: Value, index: Index = 0) -> None:
        """A vector or a number, at any address."""
        self.builder.store(value, self.at(pointer, index), align=BYTES[self.dtype])

    def half_at(self, pointer: Value, index: Index) -> Value:
        """The address of the bfloat16 ``index`` places behind ``pointer``."""
        return self.builder.gep(pointer, [int64(index)], source_etype=BFloat16())

    def load_half(self, pointer: Value) -> Value:
        """A vector of numbers kept in bfloat16."""
        kind = ir.VectorType(ir.IntType(16), self.lanes)
        upper = self.builder.zext(self.builder.load(pointer, typ=kind, align=2), self.integers)
        return self.builder.bitcast(self.builder.shl(upper, self.bits(16)), self.vector)

    def store_half(self, value: Value, pointer: Value) -> None:
        """A vector, to the nearest bfloat16, of two the even one."""
        self.builder.store(self.builder.fptrunc(value, ir.VectorType(BFloat16(), self.lanes)), pointer, align=2)

    def load_scalar(self, pointer: Value, index: Index = 0) -> Value:
        return self.builder.load(self.at(pointer, index), typ=self.scalar, align=BYTES[self.dtype])

    def prefetch(self, pointer: Value, index: Index) -> None:
        """Have the second cache fetch what stands there; any address will do."""
        read, second, data = (ir.Constant(INT32, number) for number in (0, 2, 1))
        function = self.declare("llvm.prefetch.p0", ir.VoidType(), [POINTER, INT32, INT32, INT32])
        self.builder.call(function, [self.at(pointer, index), read, second, data])

    def first(self, count: Value) -> Value:
        """A mask of the lanes before ``count``."""
        places = ir.VectorType(INT64, self.lanes)
        order = ir.Constant(places, [ir.Constant(INT64, lane) for lane in range(self.lanes)])
        return self.builder.icmp_signed("<", order, self._spread(count, places))

    def load_masked(self, pointer: Value, index: Index, mask: Value) -> Value:
        """Zeros where ``mask`` does not hold; memory is not touched there."""
        align = ir.Constant(INT32, BYTES[self.dtype])
        place = self.at(pointer, index)
        return self._intrinsic(f"llvm.masked.load.{self.suffix}.p0", place, align, mask, ir.Constant(self.vector, None))

    def store_masked(self, value: Value, pointer: Value, index: Index, mask: Value) -> None:
        align = ir.Constant(INT32, BYTES[self.dtype])
        kinds = [self.vector, POINTER, INT32, mask.type]
        store = self.declare(f"llvm.masked.store.{self.suffix}.p0", ir.VoidType(), kinds)
        self.builder.call(store, [value, self.at(pointer, index), align, mask])

    def broadcast(self, scalar: Value) -> Value:
        return self._spread(scalar, self.vector)

    def add(self, a: Value, b: Value) -> Value:
        return self.builder.fadd(a, b)

    def sub(self, a: Value, b: Value) -> Value:
        return self.builder.fsub(a, b)

    def mul(self, a: Value, b: Value) -> Value:
        return self.builder.fmul(a, b)

    def div(self, a: Value, b: Value) -> Value:
        return self.builder.fdiv(a, b)

    def quotient(self, a: Value, b: Value) -> Value:
        """a / b for a normal b > 0 not above 2^126, within 0.51 ulp: a third of a division's time where there are
        estimates."""
        if not self.estimates:
            return self.div(a, b)
        estimate, one, negative = self._reciprocal(b), self.constant(1.0), self.neg(b)
        reciprocal = self.fma(self.fma(negative, estimate, one), estimate, estimate)
        near = self.mul(a, reciprocal)
        return self.fma(self.fma(negative, near, a), reciprocal, near)

    def _reciprocal(self, a: Value) -> Value:
        """1 / a to 14 bits."""
        count = a.type.count
        if count > 16:
            halves = [list(range(start, start + count // 2)) for start in (0, count // 2)]
            return self.concatenate([self._reciprocal(self.shuffle(a, a, half)) for half in halves])
        if count < 4:
            wide = self._reciprocal(self.shuffle(a, a, [lane % count for lane in range(4)]))
            return self.shuffle(wide, wide, list(range(count)))
        mask = ir.Constant(ir.IntType(max(count, 8)), -1)
        kinds = [a.type, a.type, mask.type]
        function = self.declare(f"llvm.x86.avx512.rcp14.ps.{32 * count}", a.type, kinds)
        return self.builder.call(function, [a, a, mask])

    def neg(self, a: Value) -> Value:
        return self.builder.fneg(a)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a * b + c, rounded once where the machine has an instruction for it (all but plain SSE)."""
        return self._intrinsic(f"llvm.fmuladd.{self.suffix}", a, b, c)

    def polynomial(self, x: Value, coefficients: tuple[float, ...]) -> Value:
        """``coefficients[0] + coefficients[1] x + …`` by Horner's rule."""
        *rest, last = coefficients
        value = self.constant(last)
        for coefficient in reversed(rest):
            value = self.fma(value, x, self.constant(coefficient))
        return value

    def minimum(self, a: Value, b: Value) -> Value:
        """The lesser; not a number where either is not."""
        return self.select(self.is_nan(a), a, self.at_most(b, a))

    def maximum(self, a: Value, b: Value) -> Value:
        """The greater; not a number where either is not."""
        return self.select(self.is_nan(a), a, self.at_least(b, a))

    def at_most(self, value: Value, bound: Value) -> Value:
        """``value``, or ``bound`` where that is less; a value that is not a number stays (one instruction on x86)."""
        return self.select(self.compare("<", bound, value), bound, value)

    def at_least(self, value: Value, bound: Value) -> Value:
        """``value``, or ``bound`` where that is greater; a value that is not a number stays."""
        return self.select(self.compare(">", bound, value), bound, value)

    def clamp(self, value: Value, low: float, high: float) -> Value:
        return self.at_least(self.at_most(value, self.constant(high)), self.constant(low))

    def abs(self, a: Value) -> Value:
        return self._intrinsic(f"llvm.fabs.{self.suffix}", a)

    def with_sign_of(self, a: Value, sign: Value) -> Value:
        return self._intrinsic(f"llvm.copysign.{self.suffix}", a, sign)

    def sqrt(self, a: Value) -> Value:
        return self._intrinsic(f"llvm.sqrt.{self.suffix}", a)

    def floor(self, a: Value) -> Value:
        return self._intrinsic(f"llvm.floor.{self.suffix}", a)

    def round(self, a: Value) -> Value:
        """The nearest integer, the even one of two."""
        return self._intrinsic(f"llvm.rint.{self.suffix}", a)

    def trunc(self, a: Value) -> Value:
        return self._intrinsic(f"llvm.trunc.{self.suffix}", a)

    def compare(self, operator: str, a: Value, b: Value) -> Value:
        """A mask. With what is not a number only ``!=`` holds."""
        compared = self.builder.fcmp_ordered if operator in ORDERED else self.builder.fcmp_unordered
        return compared(operator, a, b)

    def is_nan(self, a: Value) -> Value:
        return self.builder.fcmp_unordered("uno", a, a)

    def select(self, mask: Value, a: Value, b: Value) -> Value:
        return self.builder.select(mask, a, b)

    def exp(self, a: Value) -> Value:
        return self._elementary("exp", a)

    def expm1(self, a: Value) -> Value:
        return self._elementary("expm1", a)

    def log(self, a: Value) -> Value:
        return self._elementary("log", a)

    def log1p(self, a: Value) -> Value:
        return self._elementary("log1p", a)

    def tanh(self, a: Value) -> Value:
        return self._elementary("tanh", a)

    def sigmoid(self, a: Value) -> Value:
        return self._elementary("sigmoid", a)

    def erf(self, a: Value) -> Value:
        return self._elementary("erf", a)

    def sin(self, a: Value) -> Value:
        """The C library's, lane by lane."""
        return self._intrinsic(f"llvm.sin.{self.suffix}", a)

    def cos(self, a: Value) -> Value:
        """The C library's, lane by lane."""
        return self._intrinsic(f"llvm.cos.{self.suffix}", a)

    def pow(self, a: Value, b: Value) -> Value:
        """The C library's, lane by lane."""
        return self._intrinsic(f"llvm.pow.{self.suffix}", a, b)

    def sum(self, vector: Value) -> Value:
        """The sum over the lanes, as a number: the upper half added to the lower, again and again."""
        return self.lane(self.totals([vector]), 0)

    def max(self, vector: Value) -> Value:
        """The greatest lane, as a number; not a number where one is not."""
        return self.lane(self._fold([vector], self.maximum), 0)

    def totals(self, vectors: list[Value]) -> Value:
        """A vector of the sum of each of ``vectors`` (a power of two of them), each summed as `sum` does."""
        return self._fold(vectors, self.add)

    def lane(self, vector: Value, index: int) -> Value:
        return self.builder.extract_element(vector, ir.Constant(INT32, index))

    def shuffle(self, a: Value, b: Value, lanes: list[int]) -> Value:
        """The given lanes of ``a`` followed by ``b``."""
        mask = ir.Constant(ir.VectorType(INT32, len(lanes)), [ir.Constant(INT32, lane) for lane in lanes])
        return self.builder.shuffle_vector(a, b, mask)

    def concatenate(self, vectors: list[Value]) -> Value:
        """Vectors, a power of two of them, side by side."""
        while len(vectors) > 1:
            every = list(range(2 * vectors[0].type.count))
            vectors = [self.shuffle(a, b, every) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
        return vectors[0]

    def _fold(self, vectors: list[Value], join: Callable[[Value, Value], Value]) -> Value:
        """Each vector's lanes joined in halves; two vectors share one as soon as each is but half as wide."""
        size = self.lanes  # of the part of a vector that belongs to one of those given
        while size > 1:
            pairs = list(zip(vectors[::2], vectors[1::2], strict=True)) if vectors[1:] else [(vectors[0], vectors[0])]
            width = vectors[0].type.count * min(len(vectors), 2)
            lower = [start + lane for start in range(0, width, size) for lane in range(size // 2)]
            upper = [lane + size // 2 for lane in lower]
            vectors = [join(self.shuffle(a, b, lower), self.shuffle(a, b, upper)) for a, b in pairs]
            size //= 2
        return self.concatenate(vectors)

    def _spread(self, scalar: Value, kind: ir.VectorType) -> Value:
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.Constant(INT32, 0))
        return self.shuffle(one, one, [0] * self.lanes)

    def _elementary(self, name: str, operand: Value) -> Value:
        """A call of the module's own copy of a function of `functions`."""
        from recurra.recurrence.cpu import functions  # which are written with this class

        function = self.module.globals.get(f"{name}.{self.suffix}")
        if function is None:
            function = self.declare(f"{name}.{self.suffix}", self.vector, [self.vector])
            function.linkage = "internal"
            function.attributes.add("alwaysinline")
            builder = ir.IRBuilder(function.append_basic_block())
            emitter = Vectors(builder, self.module, self.dtype, self.lanes, self.estimates)
            builder.ret(getattr(functions, name)(emitter, function.args[0]))
        return self.builder.call(function, [operand])

    def _intrinsic(self, name: str, *operands: Value) -> Value:
        return self.builder.call(self.declare(name, self.vector, [value.type for value in operands]), operands)

    def declare(self, name: str, result: ir.Type, kinds: list[ir.Type]) -> ir.Function:
        known = self.module.globals.get(name)
        return known or ir.Function(self.module, ir.FunctionType(result, kinds), name)


def int64(value: Index) -> Value:
    return ir.Constant(INT64, value) if isinstance(value, int) else value
