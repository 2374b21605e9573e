"""What the processor offers, and LLVM: from a module's text to functions that can be called."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import llvmlite.binding as llvm
import llvmlite.ir as ir
import torch

Level = Literal["avx512", "avx2", "sse", "neon"]
DType = Literal["float32", "float64"]
Element = DType | Literal["int8"]
BYTES: dict[Element, int] = {"float32": 4, "float64": 8, "int8": 1}
DTYPES: dict[torch.dtype, DType] = {torch.float32: "float32", torch.float64: "float64"}

_lock = threading.RLock()  # LLVM's context, shared with other users of llvmlite in the process, is not thread-safe


@dataclass(frozen=True)
class Machine:
    """A processor as code is generated for it.

    Args:
        cpu: LLVM's name, for its timings.
        features: LLVM's list, "+avx2,-avx512f,…".
        bytes_per_vector: the width of its widest vector registers.
        registers: how many of those it has.
        triple: LLVM's name of architecture and system.
        bfloat16: by what it multiplies bfloat16: tile registers ("amx"), vectors ("avx512"), or nothing ("").
    """

    cpu: str
    features: str
    bytes_per_vector: int
    registers: int
    triple: str
    bfloat16: Literal["amx", "avx512", ""] = ""

    @property
    def estimates(self) -> bool:
        """Whether it has AVX-512, and with it good estimates of reciprocals."""
        return self.bytes_per_vector == 64


@dataclass(frozen=True)
class Code:
    """Compiled functions; they live as long as this object does."""

    engine: Any

    def address(self, name: str) -> int:
        """Where the function ``name`` starts.

        Raises:
            KeyError: the module has no such function.
        """
        with _lock:
            found = self.engine.get_function_address(name)
        if not found:
            raise KeyError(f"the compiled module has no function {name!r}")
        return found


def machine(level: Level) -> Machine:
    """The least machine of a level, whatever the host is.

    "sse" is any x86 of 64 bits, without fused multiply-add; "avx2" has it.
    """
    match level:
        case "avx512":
            # this name asks for 256-bit vectors where LLVM has the choice
            return Machine("x86-64-v4", "-prefer-256-bit", 64, 32, _triple("x86_64"))
        case "avx2":
            return Machine("x86-64-v3", "", 32, 16, _triple("x86_64"))
        case "sse":
            return Machine("x86-64", "", 16, 16, _triple("x86_64"))
        case "neon":
            return Machine("generic", "+neon", 16, 32, _triple("aarch64"))


@lru_cache(maxsize=1)
def host() -> Machine:
    """This machine.

    Features are asked one by one: in a virtual machine the processor's name promises what may be masked.
    """
    with _lock:
        has = dict(llvm.get_host_cpu_features())
        cpu, triple = llvm.get_host_cpu_name(), llvm.get_default_triple()
    features = ",".join(("+" if on else "-") + name for name, on in sorted(has.items()))
    if not triple.startswith("x86_64"):
        return Machine(cpu, features, 16, 32, triple)
    if all(has.get(name) for name in ("avx512f", "avx512vl", "avx512dq", "avx512bw", "fma")):
        tiles = has.get("amx-tile") and has.get("amx-bf16") and _tiles_permitted()
        bfloat16: Any = "" if not has.get("avx512bf16") else "amx" if tiles else "avx512"
        return Machine(cpu, features + ",-prefer-256-bit", 64, 32, triple, bfloat16)
    if has.get("avx2") and has.get("fma"):
        return Machine(cpu, features, 32, 16, triple)
    return Machine(cpu, features, 16, 16, triple)


def _tiles_permitted() -> bool:
    """Whether the kernel lets this process use tile registers: Linux wants to be asked."""
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    return sys.platform == "linux" and ctypes.CDLL(None).syscall(arch_prctl, request_permission, tile_data) == 0


def lanes(machine: Machine, dtype: DType) -> int:
    """How many numbers one vector register holds."""
    return machine.bytes_per_vector // BYTES[dtype]


def compile_module(module: ir.Module | str, machine: Machine, optimise: bool = True) -> Code:
    """Machine code of an LLVM module, in this process.

    Args:
        optimise: run LLVM's passes; without them functions are inlined and instructions well selected all the same,
            which is enough for loops that are written as they should run, and takes half the time.

    Raises:
        RuntimeError: LLVM refuses the module; the message is LLVM's.
    """
    with _lowered(module, machine, optimise) as (parsed, target):
        engine = llvm.create_mcjit_compiler(parsed, target)
        engine.finalize_object()
        return Code(engine)


def assembly(module: ir.Module | str, machine: Machine) -> str:
    """The assembler text of a module, also for a machine that is not here."""
    with _lowered(module, machine, True) as (parsed, target):
        return target.emit_assembly(parsed)


@contextmanager
def _lowered(module: ir.Module | str, machine: Machine, optimise: bool) -> Iterator[tuple[Any, Any]]:
    with _lock:
        _initialise()
        parsed = llvm.parse_assembly(str(module))
        parsed.triple = machine.triple
        target = llvm.Target.from_triple(machine.triple).create_target_machine(
            cpu=machine.cpu, features=machine.features, opt=2, jit=True
        )
        parsed.data_layout = str(target.target_data)
        parsed.verify()
        _run_passes(parsed, target, 2 if optimise else 0)
        yield parsed, target


def _run_passes(parsed: Any, target: Any, level: int) -> None:
    tuning = llvm.create_pipeline_tuning_options(speed_level=level)
    # the code has explicit vectors and is unrolled as it should be
    tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_unrolling = tuning.loop_interleaving = False
    builder = llvm.create_pass_builder(target, tuning)
    builder.getModulePassManager().run(parsed, builder)


@lru_cache(maxsize=1)
def _initialise() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    if llvm.address_of_symbol("sinf") is None:  # an unresolved name would end the process
        llvm.load_library_permanently("libm.so.6")


def _triple(architecture: str) -> str:
    """The host's system, where it is of this architecture; else Linux."""
    triple = llvm.get_default_triple()
    return triple if triple.startswith(architecture) else f"{architecture}-unknown-linux-gnu"
