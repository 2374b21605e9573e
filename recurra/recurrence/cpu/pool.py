"""The threads of a loop: PyTorch's own OpenMP pool, so that the two never fight over cores."""

import ctypes
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import torch

_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_after_fork)  # where the pool's threads do not exist, yet it waits for them


class Pool(NamedTuple):
    """The functions of the OpenMP runtime that PyTorch has loaded."""

    parallel: Any
    inside: Any


@lru_cache(maxsize=1)
def pool() -> Pool | None:
    """The pool, or None where PyTorch has none that can be found (macOS, Windows)."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    paths = {line.split()[-1] for line in lines if "libgomp" in line}
    own = str(Path(torch.__file__).parent)
    for path in sorted(paths, key=lambda path: not path.startswith(own)):
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        library.GOMP_parallel.restype = None
        library.GOMP_parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        for name in ("omp_get_thread_num", "omp_get_num_threads"):
            llvm.add_symbol(name, ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
        return Pool(library.GOMP_parallel, library.omp_in_parallel)
    return None


def threads() -> int:
    """How many threads a loop may use here: one in a forked child, within a parallel region, or without a pool."""
    team = most()
    found = None if team == 1 else pool()
    return 1 if found is None or found.inside() else team


def most() -> int:
    """The same, of a loop that was given threads before, outside of parallel regions."""
    return 1 if _forked else torch.get_num_threads()


def parallel() -> int:
    """The address of what opens a region, ``GOMP_parallel(function, data, threads, flags)``; 0 without a pool."""
    found = pool()
    return 0 if found is None else ctypes.cast(found.parallel, ctypes.c_void_p).value or 0


def run(function: Any, address: int, words: Any, team: int) -> None:
    """Call the compiled ``function(words)``, at ``address``, on a team of threads; the pool may give fewer."""
    found = pool() if team > 1 else None
    if found is None:
        function(words)
    else:
        found.parallel(address, words, team, 0)
