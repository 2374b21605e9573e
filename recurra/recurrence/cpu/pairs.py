"""Operands of products in bfloat16: numbers next to each other along the sum, two in the place of a float32."""

import llvmlite.ir as ir

from recurra.recurrence.cpu.control import counted, each, open_function, product, whole
from recurra.recurrence.cpu.tile import block_size, transposed
from recurra.recurrence.cpu.vector import INT32, INT64, POINTER, BFloat16, Value, Vectors, int64

GRAIN = 16
"""Pairs that an operand is filled up to with zeros: as many as a tile register's row holds."""


def places(depth: int) -> int:
    """How many float32 places ``depth`` numbers take."""
    return -(-depth // (2 * GRAIN)) * GRAIN


def row_places(depth: int) -> int:
    """The distance of rows in a rounded operand: an odd number of cache lines, so that rows share no cache set."""
    return (places(depth) // GRAIN | 1) * GRAIN


def dot(v: Vectors, a: Value, b: Value, total: Value) -> Value:
    """``total`` plus, in each lane, the products of both numbers of a pair, by AVX-512."""
    kind = ir.VectorType(BFloat16(), 2 * v.lanes)
    function = v.declare(f"llvm.x86.avx512bf16.dpbf16ps.{32 * v.lanes}", v.vector, [v.vector, kind, kind])
    return v.builder.call(function, [total, v.builder.bitcast(a, kind), v.builder.bitcast(b, kind)])


def rounded(v: Vectors, low: Value, high: Value) -> Value:
    """The numbers of ``low``, then those of ``high``, to the nearest, of two the even one."""
    kind = ir.VectorType(BFloat16(), 2 * v.lanes)
    function = v.declare(f"llvm.x86.avx512bf16.cvtne2ps2bf16.{32 * v.lanes}", kind, [v.vector, v.vector])
    return v.builder.call(function, [high, low])


def emit_round(module: ir.Module, lanes: int) -> None:
    """``round(a*, lda, rows, k, out*, ldo)``: k numbers of each row as pairs, filled up with zeros to `places`."""
    builder, (a, lda, rows, k, out, ldo) = open_function(module, "round", "a* lda rows k out* ldo")
    v = Vectors(builder, module, "float32", lanes)
    most = whole(builder, k, 2 * lanes)
    masks = [v.first(builder.sub(k, builder.add(most, int64(place)))) for place in (0, lanes)]

    def one(row: Value) -> None:
        source, target = v.at(a, product(builder, row, lda)), v.at(out, product(builder, row, ldo))

        def put(index: Value, low: Value, high: Value) -> None:
            v.store(builder.bitcast(rounded(v, low, high), v.vector), target, builder.lshr(index, int64(1)))

        def pairs(index: Value) -> None:
            put(index, v.load(source, index), v.load(source, builder.add(index, int64(lanes))))

        each(builder, 0, most, 2 * lanes, pairs)
        with builder.if_then(builder.icmp_signed("<", most, k)):
            put(most, *(v.load_masked(source, builder.add(most, int64(i * lanes)), m) for i, m in enumerate(masks)))

    each(builder, 0, rows, 1, one)
    builder.ret_void()


def emit_collect(module: ir.Module, lanes: int) -> None:
    """``collect(a*, lda, rows, k, out*, ldo)``: as `emit_round`, of numbers that are bfloat16 already."""
    builder, (a, lda, rows, k, out, ldo) = open_function(module, "collect", "a* lda rows k out* ldo")
    v = Vectors(builder, module, "float32", lanes)
    most = whole(builder, k, 2 * lanes)
    kind, order = ir.VectorType(ir.IntType(16), 2 * lanes), ir.VectorType(INT64, 2 * lanes)
    last = builder.insert_element(ir.Constant(order, ir.Undefined), builder.sub(k, most), ir.Constant(INT32, 0))
    last = v.shuffle(last, last, [0] * (2 * lanes))
    mask = builder.icmp_signed("<", ir.Constant(order, [ir.Constant(INT64, i) for i in range(2 * lanes)]), last)
    masked = v.declare(f"llvm.masked.load.v{2 * lanes}i16.p0", kind, [POINTER, INT32, mask.type, kind])

    def one(row: Value) -> None:
        source, target = v.half_at(a, product(builder, row, lda)), v.at(out, product(builder, row, ldo))

        def put(index: Value, value: Value) -> None:
            v.store(builder.bitcast(value, v.vector), target, builder.lshr(index, int64(1)))

        each(
            builder,
            0,
            most,
            2 * lanes,
            lambda index: put(index, builder.load(v.half_at(source, index), typ=kind, align=2)),
        )
        with builder.if_then(builder.icmp_signed("<", most, k)):
            given = [v.half_at(source, most), ir.Constant(INT32, 2), mask, ir.Constant(kind, None)]
            put(most, builder.call(masked, given))

    each(builder, 0, rows, 1, one)
    builder.ret_void()


def emit_pack_pairs(module: ir.Module, lanes: int) -> None:
    """``pack(w*, stride_n, stride_k, k, panel*, V, v)``: like `tile.emit_pack`, of pairs.

    panel[(p * V + v) * L + lane] = the pair w[lane * stride_n + k * stride_k] for k = 2 p and 2 p + 1, for every p
    below `places`; zeros where there is no such k.
    """
    builder, (w, stride_n, stride_k, k, panel, count, which) = open_function(
        module, "pack", "w* stride_n stride_k k panel* count which"
    )
    v = Vectors(builder, module, "float32", lanes)
    panel = v.at(panel, product(builder, which, lanes))
    apart = product(builder, count, lanes)
    woven = [lane // 2 + lanes * (lane % 2) for lane in range(2 * lanes)]

    def put(index: Value, low: Value, high: Value) -> None:
        both = rounded(v, low, high)
        pair = builder.bitcast(v.shuffle(both, both, woven), v.vector)
        v.store(pair, panel, product(builder, builder.lshr(index, int64(1)), apart))

    def gathered(index: Value) -> Value:
        source = v.at(w, product(builder, index, stride_k))

        def one(lane: Value, found: list[Value]) -> list[Value]:
            return [builder.insert_element(found[0], v.load_scalar(source, product(builder, lane, stride_n)), lane)]

        return counted(builder, 0, lanes, 1, [v.constant(0.0)], one)[0]

    def copy(index: Value) -> None:
        rows = [product(builder, builder.add(index, int64(turn)), stride_k) for turn in (0, 1)]
        put(index, *(v.load(w, row) for row in rows))

    def block(index: Value) -> None:
        columns = transposed(v, w, stride_n, index)
        for step in range(0, block_size(v), 2):
            put(builder.add(index, int64(step)), columns[step], columns[step + 1])

    def gather(index: Value) -> None:
        put(index, gathered(index), gathered(builder.add(index, int64(1))))

    even = whole(builder, k, 2)
    with builder.if_else(builder.icmp_signed("==", stride_n, int64(1))) as (contiguous, strided):
        with contiguous:
            each(builder, 0, even, 2, copy)
        with strided:
            in_blocks = builder.icmp_signed("==", stride_k, int64(1))
            most = builder.select(in_blocks, whole(builder, k, block_size(v)), int64(0))
            each(builder, 0, most, block_size(v), block)
            each(builder, most, even, 2, gather)
    zero = v.constant(0.0)
    each(builder, even, k, 2, lambda index: put(index, gathered(index), zero))
    after = whole(builder, builder.add(k, int64(1)), 2)
    filled = whole(builder, builder.add(k, int64(2 * GRAIN - 1)), 2 * GRAIN)
    each(builder, after, filled, 2, lambda index: put(index, zero, zero))
    builder.ret_void()
