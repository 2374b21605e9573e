"""What only a process of its own can tell: the first call of a cell, and the peak of memory."""

import ctypes
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch

from recurra.bench.contenders import CONTENDERS
from recurra.bench.entry import Entry
from recurra.bench.problem import make_problem
from recurra.bench.shapes import Shape
from recurra.cells import CELLS

Result = TypeVar("Result")

_SHORT = 3
"""Steps of the call that compiles or loads what a process keeps as code."""


def in_fresh_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function of a module in a new interpreter that has imported nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def first_call(cell: str, shape: Shape, threads: int) -> dict[str, float]:
    """Seconds of a cell's first training call in a fresh process, and of a later one."""
    return in_fresh_process(_first_call, cell, shape, threads)


def peak_training_memory(contender: str, cell: str, shape: Shape, threads: int) -> int | None:
    """Bytes by which training raises a process's resident memory at its peak, weights and inputs not counted.

    A training call of few steps goes first, so that code, the library's or compiled, is not counted, nor what compiling
    it takes; the gradients of the parameters are.
    None where the contender does not compute this cell.
    """
    return in_fresh_process(_peak_training_memory, contender, cell, shape, threads)


def _first_call(cell: str, shape: Shape, threads: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    weight = torch.zeros(1, requires_grad=True)
    torch.autograd.grad(2 * weight, weight, torch.ones(1))  # torch's own first look at a gradient takes 0.2 s
    call = _contender("recurra", cell, shape).call
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return {"first": seconds[0], "later": median(seconds[1:])}


def _peak_training_memory(contender: str, cell: str, shape: Shape, threads: int) -> int | None:
    torch.set_num_threads(threads)
    warm, measured = (_contender(contender, cell, sizes) for sizes in (shape._replace(T=_SHORT), shape))
    if warm is None:
        return None
    warm.call()
    return peak_of(measured.call)


def peak_of(call: Callable[[], Any]) -> int:
    """Bytes that three calls in a row add to this process's resident memory at their peak."""
    _give_back_freed_memory()
    before = _restart_peak()
    for _ in range(3):
        call()
    return _peak() - before


def _contender(name: str, cell: str, shape: Shape) -> Any:
    return CONTENDERS[name](make_problem(Entry(cell, shape, "training"), CELLS[cell]))


def _give_back_freed_memory() -> None:
    with suppress(AttributeError):  # a C library other than glibc
        ctypes.CDLL(None).malloc_trim(0)


def _restart_peak() -> int:
    """Let the peak be the present; where the system cannot (macOS), the peak so far is where counting begins."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
