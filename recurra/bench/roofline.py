"""The least time that a recurrence could take on this machine, from rates measured in the same run."""

import ctypes
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra.bench.entry import Entry
from recurra.bench.shapes import flops, sequence_bytes

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_PRODUCT_SIZES = (256, 1024, 2048)
_LONGEST_PRODUCT = 1.0
"""Seconds: bfloat16 has no instructions on many processors, where one large product would take minutes."""

_WORKING_SETS = (2**17, 2**19, 2**21, 2**23, 2**28)
"""Bytes, from what a core's second-level cache holds up to what only memory does."""


@dataclass(frozen=True)
class Rates:
    """What ``threads`` threads reach.

    Products in FLOP/s by precision, bytes per second by working set, seconds of a barrier.
    """

    threads: int
    product: dict[str, float]
    bandwidth: dict[int, float]
    barrier: float

    def bytes_per_second(self, working_set: int) -> float:
        """The bandwidth of the level that a working set of so many bytes lives in."""
        return next((rate for size, rate in self.bandwidth.items() if working_set <= size), self.memory)

    @property
    def memory(self) -> float:
        """The bandwidth where no cache helps."""
        return self.bandwidth[max(self.bandwidth)]


@dataclass(frozen=True)
class Roofline:
    """Rates with one thread and with as many as entries have, and the seconds of one call from Python."""

    rates: tuple[Rates, ...]
    call: float

    def seconds(self, cells: Iterable[nn.Module], entry: Entry) -> float:
        """The least time of one call, its layers and directions one after another."""
        return sum(self._alone(cell, entry) for cell in cells) + self.call

    def _alone(self, cell: nn.Module, entry: Entry) -> float:
        """One cell with the best number of threads, a barrier after each step where they are many.

        The products run at the best rate seen, or the bytes at the bandwidth of where they live, whichever is slower:
        the sequences come from memory; from the smallest level that holds them, all weights are read once, in float32,
        and the recurrent ones anew in every further step, in the precision of the products.
        """
        shape, mode, way = entry.shape, entry.mode, entry.way
        passes, width = 2 if entry.training else 1, TYPES[way.precision].itemsize
        weights = 4 * sum(weight.numel() for weight in cell.parameters())
        recurrent = width * sum(weight.numel() for name, weight in cell.named_parameters() if name.endswith("W_h"))
        products, sequences = flops(cell, shape, mode), sequence_bytes(cell, shape, mode, width)

        def at(rates: Rates) -> float:
            first = weights / rates.bytes_per_second(weights // rates.threads)
            later = (shape.T - 1) * recurrent / rates.bytes_per_second(recurrent // rates.threads)
            moving = sequences / rates.memory + passes * (first + later)
            return max(products / rates.product[way.precision], moving) + passes * shape.T * rates.barrier

        return min(at(rates) for rates in self.rates if rates.threads <= way.threads)

    def to_json(self) -> dict[str, Any]:
        """The rates in GFLOP/s, GB/s and microseconds."""
        return {
            "call_us": self.call * 1e6,
            "rates": [
                {
                    "threads": rates.threads,
                    "product_gflops": {name: rate / 1e9 for name, rate in rates.product.items()},
                    "bandwidth_gbs": {str(size): rate / 1e9 for size, rate in rates.bandwidth.items()},
                    "barrier_us": rates.barrier * 1e6,
                }
                for rates in self.rates
            ],
        }


def measure_roofline(threads: Iterable[int], precisions: Iterable[str] = ("float32",)) -> Roofline:
    """Measure the rates with one and with so many threads each; takes two or three seconds."""
    before = torch.get_num_threads()
    try:
        return Roofline(tuple(_rates(count, precisions) for count in sorted({1, *threads})), _call())
    finally:
        torch.set_num_threads(before)


def _rates(threads: int, precisions: Iterable[str]) -> Rates:
    torch.set_num_threads(threads)
    seen = {size: max(_copy(size), _read(size)) for size in _WORKING_SETS}
    # a smaller set is at least as near; measured alone, the start of a call would hide that
    bandwidth = {size: max(rate for other, rate in seen.items() if other >= size) for size in seen}
    return Rates(threads, {name: _products(TYPES[name]) for name in precisions}, bandwidth, _barrier(threads))


def _products(kind: torch.dtype) -> float:
    """The best rate of some sizes, none of which takes longer than a second by the rate of those before it."""
    best = 0.0
    for size in _PRODUCT_SIZES:
        if 2 * size**3 > _LONGEST_PRODUCT * best > 0:
            break
        best = max(best, _product(size, kind))
    return best


def _product(size: int, kind: torch.dtype) -> float:
    a, b = (torch.randn(size, size).to(kind) for _ in range(2))
    out = torch.empty(size, size, dtype=kind)
    return 2 * size**3 / _best(lambda: torch.mm(a, b, out=out), 0.2)


def _copy(size: int) -> float:
    source, target = torch.zeros(size // 8), torch.zeros(size // 8)
    return size / _best(lambda: target.copy_(source), 0.05)


def _read(size: int) -> float:
    """The rate of a matrix times a vector, which is what one step at batch 1 does with its weights."""
    matrix, vector = torch.zeros(size // 4 // 256, 256), torch.zeros(256)
    out = torch.empty(len(matrix))
    return size / _best(lambda: torch.mv(matrix, vector, out=out), 0.05)


def _call() -> float:
    layer, x = nn.Identity(), torch.zeros(1)
    return _best(lambda: torch.neg(layer(x)), 0.05)


def _barrier(threads: int) -> float:
    """Seconds of one barrier in PyTorch's own OpenMP pool: a region that only meets at one, less an empty region."""
    library = _openmp()
    if threads == 1 or library is None:
        return 0.0
    barrier, nothing = (
        ctypes.cast(getattr(library, name), ctypes.c_void_p) for name in ("GOMP_barrier", "omp_in_final")
    )
    region = library.GOMP_parallel

    def seconds(body: ctypes.c_void_p) -> float:
        return _best(lambda: region(body, None, ctypes.c_uint(threads), ctypes.c_uint(0)), 0.05)

    return max(0.0, seconds(barrier) - seconds(nothing))


def _openmp() -> ctypes.CDLL | None:
    """GNU's OpenMP library where torch has loaded it."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    path = next((line.split(maxsplit=5)[-1] for line in lines if "libgomp" in line), None)
    return None if path is None else ctypes.CDLL(path)


def _best(call: Callable[[], Any], seconds: float) -> float:
    """The shortest of the calls that fit into ``seconds``, each sample long enough for the clock."""
    call()
    start = time.perf_counter()
    call()
    repeats = max(1, round(2e-4 / max(time.perf_counter() - start, 1e-7)))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        best = min(best, (time.perf_counter() - start) / repeats)
    return best
