"""Whole loops for lesser machines than this one: AVX2 and SSE run here and agree, NEON compiles to what it should."""

from functools import partial

import pytest
import torch

from recurra.recurrence.cpu import execute as engine
from recurra.recurrence.cpu import loop
from recurra.recurrence.cpu.layout import lay_out
from recurra.recurrence.cpu.loop import emit_loop
from recurra.recurrence.cpu.machine import assembly, host, lanes, machine
from recurra.recurrence.cpu.products import kernels
from recurra.recurrence.gradient import Wanted, differentiate
from recurra.recurrence.interpret import interpret
from recurra.recurrence.schedule import schedule
from tests.recurrence.programs import gru, inputs, layer_norm, lstm, softmax

PROGRAMS = {"lstm": lstm, "gru": partial(gru, "before"), "layer norm": layer_norm, "softmax": softmax}


def on(target, program, numbers, monkeypatch):
    """Everything that a run on a machine gives: outputs, states and gradients of weights."""
    real = engine.compile_program
    monkeypatch.setattr(engine, "compile_program", lambda *given, **kind: real(*given, **kind, machine=target))
    outcome = engine.execute(program, engine.Arguments(*numbers), len(numbers.sequences[0]))
    monkeypatch.setattr(engine, "compile_program", real)
    return [*outcome.outputs, *outcome.states], outcome.weights


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="this is no x86")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("level", ["avx2", "sse"])
def test_loops_for_lesser_machines_agree(level, name, dtype, monkeypatch):
    target = machine(level)
    if target.bytes_per_vector > host().bytes_per_vector:
        pytest.skip(f"this machine has no {level}")
    for hidden, rows in ((7, 3), (19, 8)):
        program = PROGRAMS[name](5, hidden)
        every = Wanted(*((True,) * len(each) for each in (program.sequences, program.weights, program.rows)))
        # what the adjoint of a maximum remembers cannot be drawn at random
        halves = [program] if name == "softmax" else [program, differentiate(program, every).backward]
        for half in halves:
            numbers = inputs(half, steps=4, batch=rows, dtype=dtype)
            found, sums = on(target, half, numbers, monkeypatch)
            want = interpret(half, *numbers, steps=4)
            here, here_sums = on(host(), half, numbers, monkeypatch)
            pairs = [*zip(found, [*want.outputs, *want.states], strict=True), *zip(found, here, strict=True)]
            pairs += [(sums[index], here_sums[index]) for index in here_sums]
            for one, other in pairs:
                bound = 32 * torch.finfo(dtype).eps * max(1, other.abs().max())
                torch.testing.assert_close(one, other, rtol=0, atol=bound)


@pytest.mark.parametrize("level, vector", [("avx512", "%zmm"), ("avx2", "%ymm"), ("sse", "%xmm"), ("neon", ".4s")])
def test_loops_are_made_of_the_widest_vectors_of_their_machine(level, vector):
    target = machine(level)
    text = assembly_of(lstm(5, 64), target, "float32")
    assert vector in text
    wider = {"avx2": "%zmm", "sse": "%ymm"}.get(level)
    assert wider is None or wider not in text


def assembly_of(program, target, dtype):
    """The loop's text; the product kernels of another architecture cannot be compiled here and are only named."""
    layout = lay_out(schedule(program), frozenset(), frozenset(), lanes(target, dtype), packed=True)
    made = kernels(target, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made, "_address", lambda name, *given: 4096 + hash(name) % 4096)
        return assembly(emit_loop(layout, target, dtype, made), target)


@pytest.mark.parametrize("dtype, vector", [("float32", ".4s"), ("float64", ".2d")])
@pytest.mark.parametrize("name", PROGRAMS)
def test_neon_loops_compute_in_vectors_and_wait_as_arm_does(name, dtype, vector):
    text = assembly_of(PROGRAMS[name](5, 64), machine("neon"), dtype)
    computed = [line for line in text.splitlines() if line.split()[:1] and line.split()[0] in ("fmul", "fmla", "fadd")]
    assert sum(vector in line for line in computed) > len(computed) / 2 > 5
    assert "ldar" in text and ("isb" in text or "yield" in text or "hint" in text)


def test_without_a_pool_nothing_of_openmp_is_called(monkeypatch):
    layout = lay_out(schedule(lstm(3, 8)), frozenset(), frozenset(), lanes(host(), "float32"), True)
    assert "omp_get" in str(emit_loop(layout, host(), "float32", kernels(host(), "float32")))
    monkeypatch.setattr(loop, "pool", lambda: None)
    assert "omp" not in str(emit_loop(layout, host(), "float32", kernels(host(), "float32")))
