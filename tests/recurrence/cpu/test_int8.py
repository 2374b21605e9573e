"""Matrices of int8 in kernels and loops, against torch in float64, with nothing but guard pages behind every buffer."""

import random as randomness
from dataclasses import replace

import pytest
import torch

from recurra.recurrence.cpu import execute as engine
from recurra.recurrence.cpu.machine import assembly, host, machine
from recurra.recurrence.interpret import interpret
from recurra.recurrence.program import Product, Span, Weight
from tests.recurrence.cpu.compiled import Guarded, call
from tests.recurrence.cpu.test_machines import assembly_of, on
from tests.recurrence.cpu.test_memory import guarded
from tests.recurrence.cpu.test_products import bound, every_machine, of, random, run_tile
from tests.recurrence.programs import Step, finish, gru, highway, inputs, lstm, tied
from tests.recurrence.random_programs import random_program


def int8(*shape, seed=0):
    """Of the whole range, its ends included."""
    found = torch.randint(-128, 128, shape, dtype=torch.int8, generator=torch.Generator().manual_seed(seed))
    found.view(-1)[:2] = torch.tensor([-128, 127], dtype=torch.int8)[: found.numel()]
    return found


@every_machine
@pytest.mark.parametrize("vectors, rows", [(1, 1), (4, 1), (2, 5), (4, 6)])
def test_a_tile_of_int8_has_the_bits_of_the_same_numbers_in_floats(machine, vectors, rows):
    made = of(machine, torch.float32)
    width = vectors * made.lanes
    for k in (0, 1, 3, 8, 101):
        a, out = random(rows, k + 2, dtype=torch.float32), random(rows, width, dtype=torch.float32)
        panel = int8(k, width) if k else torch.empty(0, width, dtype=torch.int8)
        for accumulate in (0, 1):
            got = run_tile(made.tile(vectors, rows, True), vectors, rows, made.lanes, a, panel, out, accumulate)
            start = out if accumulate else torch.zeros_like(out)
            want = start.double() + a[:, :k].double() @ panel.double()
            assert ((got.double() - want).abs() <= bound(a[:, :k], panel.double(), torch.float32, start)).all()
            same = run_tile(made.tile(vectors, rows), vectors, rows, made.lanes, a, panel.float(), out, accumulate)
            assert torch.equal(got, same)


@every_machine
@pytest.mark.parametrize("k", [0, 1, 4, 16, 33])
@pytest.mark.parametrize("strides", ["rows", "columns", "neither"])
def test_pack_orders_every_layout(machine, k, strides):
    made = of(machine, torch.float32)
    lanes, count = made.lanes, 3
    shape, stride_n, stride_k = {
        "rows": ((lanes, k), k, 1),
        "columns": ((k, lanes), 1, lanes),
        "neither": ((lanes, max(2 * k - 1, 0)), max(2 * k - 1, 0), 2),
    }[strides]
    storage = int8(*shape) if k else torch.empty(shape, dtype=torch.int8)
    w, panel = Guarded(storage), Guarded(torch.full((k, count, lanes), 77, dtype=torch.int8))
    for which in (0, 2):
        call(made.pack(True), w.pointer, stride_n, stride_k, k, panel.pointer, count, which)
    want = storage.t() if strides == "columns" else storage[:, ::stride_k]
    for which in (0, 2):
        assert torch.equal(panel.tensor[:, which], want.t())
    assert (panel.tensor[:, 1] == 77).all() and panel.untouched_before()
    w.close()
    panel.close()


@every_machine
@pytest.mark.parametrize("name", ["dots", "columns"])
@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("n, k", [(1, 1), (8, 16), (7, 5), (19, 37), (33, 64), (3, 0), (0, 3)])
def test_streaming_products(machine, name, rows, n, k):
    made, pad = of(machine, torch.float32), 3
    a, out = random(rows, k, dtype=torch.float32), random(rows, n + pad, dtype=torch.float32, seed=1)
    shape = (n, k) if name == "dots" else (k, n)
    w = int8(*shape, seed=2) if n * k else torch.empty(shape, dtype=torch.int8)
    matrix = w.t() if name == "dots" else w
    for accumulate in (0, 1):
        buffers = [Guarded(tensor) for tensor in (a, w, out.flatten()[: (rows - 1) * (n + pad) + n])]
        values, weights, target = (buffer.pointer for buffer in buffers)
        kernel = getattr(made, name)(True)
        call(kernel, values, k, rows, weights, shape[1], n, k, target, n + pad, accumulate)
        got = torch.as_strided(buffers[2].tensor, (rows, n), (n + pad, 1)).clone()
        assert all(buffer.untouched_before() for buffer in buffers)
        for buffer in buffers:
            buffer.close()
        start = out[:, :n] if accumulate else torch.zeros_like(out[:, :n])
        want = start.double() + a.double() @ matrix.double()
        assert ((got.double() - want).abs() <= bound(a, matrix.double(), torch.float32, start)).all()


def narrowed(program, numbers, some=None):
    """The program with its matrices, or some of them, of int8, and numbers for it; products stay of order one."""
    vectors = {node.index for node in program.nodes if isinstance(node, Weight)}
    chosen = sorted({node.index for node in program.nodes if isinstance(node, Product)} - vectors)
    chosen = [index for index in chosen if some is None or some.random() < 0.7]
    weights = [
        (each * 64).round().clamp(-128, 127).to(torch.int8) if index in chosen else each
        for index, each in enumerate(numbers.weights)
    ]
    return replace(program, int8=tuple(chosen)), numbers._replace(weights=weights)


def exact(program, numbers, steps):
    """What it means, in float64."""
    lists = [[each.double() for each in group] for group in numbers]
    result = interpret(replace(program, int8=()), *lists, steps=steps)
    return [*result.outputs, *result.states]


def assert_close(found, want):
    for one, other in zip(found, want, strict=True):
        # a few dozen roundings in each of a few steps, of sums whose terms are up to 64 times those of plain weights
        bound = 4096 * torch.finfo(torch.float32).eps * max(1, other.abs().max())
        torch.testing.assert_close(one.double(), other, rtol=0, atol=bound)


PROGRAMS = {"lstm": lstm, "gru": lambda i, h: gru("before", i, h), "highway": highway}


@pytest.mark.parametrize("name", PROGRAMS)
def test_loops_keep_within_their_buffers(name):
    for hidden, rows, steps in ((1, 1, 1), (7, 3, 2), (17, 7, 3), (40, 9, 2)):
        program = PROGRAMS[name](5, hidden)
        program, numbers = narrowed(program, inputs(program, steps, rows, torch.float32))
        assert len(program.int8) >= 2
        found = guarded(program, engine.Arguments(*numbers), steps)
        assert_close(found, exact(program, numbers, steps))


def test_a_matrix_read_both_ways():
    program = tied(9)
    program, numbers = narrowed(program, inputs(program, 3, 4, torch.float32))
    assert {node.transposed for node in program.nodes if isinstance(node, Product)} == {True, False}
    assert_close(guarded(program, engine.Arguments(*numbers), 3), exact(program, numbers, 3))


def test_neighbours_of_which_one_is_int8():
    step = Step(3, 24, 1)
    h, square = step.state(0), Span(0, 24)
    products = [step.graph.product(h, index, square, square) for index in range(3)]
    new = sum((each.apply("tanh") for each in products[1:]), start=products[0].apply("tanh")) * 0.5
    program = finish(step.graph, [new], [new], sequences=[3], weights=[(24, 24)] * 3)
    numbers = inputs(program, 3, 5, torch.float32)
    for some in ((0,), (1,), (0, 1), (0, 2), (1, 2)):
        weights = [
            (each * 64).round().to(torch.int8) if index in some else each for index, each in enumerate(numbers.weights)
        ]
        mixed, given = replace(program, int8=some), numbers._replace(weights=weights)
        assert_close(guarded(mixed, engine.Arguments(*given), 3), exact(mixed, given, 3))


def test_random_programs_with_some_matrices_in_int8_have_the_bits_of_the_same_numbers_in_floats():
    mixed = 0
    for seed in range(60):
        draw = randomness.Random(seed)
        program = random_program(draw)
        numbers = inputs(program, 3, 3, torch.float32, seed)
        program, numbers = narrowed(program, numbers, draw)
        products = {node.index for node in program.nodes if isinstance(node, Product)}
        mixed += bool(program.int8) and products > {*program.int8}
        outcome = engine.execute(program, engine.Arguments(*numbers), 3)
        found = [*outcome.outputs, *outcome.states]
        plain = replace(program, int8=())
        floats = numbers._replace(weights=[each.float() for each in numbers.weights])
        same = engine.execute(plain, engine.Arguments(*floats), 3)
        for one, other in zip(found, [*same.outputs, *same.states], strict=True):
            assert torch.equal(one.nan_to_num(7.5), other.nan_to_num(7.5))
    assert mixed >= 5


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="this is no x86")
@pytest.mark.parametrize("level", ["avx2", "sse"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_loops_for_lesser_machines_agree(level, name, monkeypatch):
    target = machine(level)
    if target.bytes_per_vector > host().bytes_per_vector:
        pytest.skip(f"this machine has no {level}")
    for hidden, rows in ((7, 3), (19, 8)):
        program = PROGRAMS[name](5, hidden)
        program, numbers = narrowed(program, inputs(program, 4, rows, torch.float32))
        found, _ = on(target, program, numbers, monkeypatch)
        assert_close(found, exact(program, numbers, 4))


def test_neon_widens_in_vectors():
    import llvmlite.ir as ir

    from recurra.recurrence.cpu.streaming import emit_dots

    module = ir.Module("dots")
    emit_dots(module, "float32", 4, int8=True, abreast=2)
    text = assembly(module, machine("neon"))
    assert "scvtf\tv" in text and "fmla\tv" in text
    program = replace(lstm(5, 64), int8=(0, 1))
    assert ".4s" in assembly_of(program, machine("neon"), "float32")
