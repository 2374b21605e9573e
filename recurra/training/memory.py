"""Keep large buffers between updates instead of returning them to the system and asking again."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@contextmanager
def keeping_freed_memory() -> Iterator[None]:
    """While inside, glibc's thresholds are raised, so that buffers of up to 1 GiB are reused.

    By default it maps every buffer above 32 MiB afresh, and the kernel clears its pages each time: at a vocabulary of
    10,000 that took more time than the recurrence. Afterwards the thresholds stand where glibc's own adjustment of
    them, which cannot be switched on again, would end, and the memory goes back. Does nothing on other C libraries.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    assert libc is not None
    libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30) or libc.mallopt(_M_MMAP_THRESHOLD, 1 << 25)  # older versions refuse more
    libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    try:
        yield
    finally:
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 25)
        libc.mallopt(_M_TRIM_THRESHOLD, 1 << 26)
        libc.malloc_trim(0)
