"""Large buffers lie in the C library's own memory while training, and are mapped afresh before and after."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from recurra.training.memory import keeping_freed_memory


class _Usage(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]


def mapped_bytes() -> int:
    """What glibc has mapped for single buffers."""
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("needs glibc 2.33 or newer")
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Usage
    return int(mallinfo().hblkhd)


def mapped_by_a_buffer(size: int) -> int:
    before = mapped_bytes()
    buffer = torch.empty(size, dtype=torch.uint8)
    return mapped_bytes() - before + 0 * buffer.numel()


@contextmanager
def failing() -> Iterator[None]:
    with pytest.raises(ZeroDivisionError):
        yield


def test_buffers_are_kept_while_inside_even_where_that_ends_in_an_error() -> None:
    size = 64 << 20
    assert mapped_by_a_buffer(size) >= size
    with failing(), keeping_freed_memory():
        assert mapped_by_a_buffer(size) == 0
        raise ZeroDivisionError
    assert mapped_by_a_buffer(size) >= size
