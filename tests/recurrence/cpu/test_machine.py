from concurrent.futures import ThreadPoolExecutor

import llvmlite.ir as ir
import numpy as np
import pytest

from recurra.recurrence.cpu.machine import assembly, compile_module, host, lanes, machine
from tests.recurrence.cpu.compiled import call, map_module


def test_the_host_has_at_least_the_least_registers_of_its_architecture():
    assert host() is host()
    assert host().bytes_per_vector in (16, 32, 64) and host().registers in (16, 32)
    assert "x86_64" in host().triple or "aarch64" in host().triple or "arm64" in host().triple


def test_lanes_fill_a_register():
    assert [lanes(machine(level), "float32") for level in ("avx512", "avx2", "sse", "neon")] == [16, 8, 4, 4]
    assert [lanes(machine(level), "float64") for level in ("avx512", "avx2", "sse", "neon")] == [8, 4, 2, 2]


@pytest.mark.parametrize(
    "level, fused, register",
    [("avx512", "vfmadd", "zmm"), ("avx2", "vfmadd", "ymm"), ("sse", "mulps", "xmm"), ("neon", "fmla\tv", ".4s")],
)
def test_a_level_gets_its_own_instructions(level, fused, register):
    module = map_module(lambda v, a, b, c: v.fma(a, b, c), "float32", lanes(machine(level), "float32"), 3)
    text = assembly(module, machine(level))
    assert fused in text and register in text
    assert ("vfmadd" in text) == (level in ("avx512", "avx2"))


def test_a_name_that_is_not_there_is_said():
    code = compile_module(map_module(lambda v, a: a, "float32", 1), host())
    with pytest.raises(KeyError, match="no function 'mop'"):
        code.address("mop")


def test_a_broken_module_is_refused():
    with pytest.raises(RuntimeError):
        compile_module("define void @f() { ret i32 0 }", host())


def test_threads_compile_at_the_same_time():
    def one(number):
        module = ir.Module(f"m{number}")
        pointer = ir.PointerType()
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer]), "put")
        builder = ir.IRBuilder(function.append_basic_block())
        builder.store(ir.Constant(ir.IntType(64), number), function.args[0])
        builder.ret_void()
        return compile_module(module, host(), optimise=number % 2 == 0)

    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(one, range(16)))
    for number, code in enumerate(codes):
        place = np.zeros(1, dtype=np.int64)
        call(code.address("put"), place.ctypes.data)
        assert place[0] == number
