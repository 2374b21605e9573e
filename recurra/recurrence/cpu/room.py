"""Memory for large results."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from math import nan
from typing import Any

import torch
from torch import Tensor

LARGE = 4 << 20
"""Bytes from which the kernel is asked for huge pages. What is smaller comes from memory that is in use already."""

_HUGE_PAGE, _MADV_HUGEPAGE = 2 << 20, 14

_marked: ContextVar[bool] = ContextVar("marked", default=False)


def room(like: Tensor, *sizes: int, dtype: torch.dtype | None = None) -> Tensor:
    """An uninitialised tensor, of the type of ``like`` where none is given.

    Above 32 MiB the C library maps memory afresh for every tensor. The kernel clears it page by page when it is first
    written, which takes longer than most loops; in huge pages it takes a fifth of that.
    """
    tensor = torch.empty(sizes, dtype=dtype or like.dtype)
    if tensor.nbytes >= LARGE and (advise := _advise()) is not None:
        begin = -(-tensor.data_ptr() // _HUGE_PAGE) * _HUGE_PAGE
        end = (tensor.data_ptr() + tensor.nbytes) // _HUGE_PAGE * _HUGE_PAGE
        advise(begin, end - begin, _MADV_HUGEPAGE)  # where it is refused, pages stay small
    return tensor.fill_(nan) if _marked.get() else tensor


@contextmanager
def marked() -> Iterator[None]:
    """While inside, what a loop should have written and has not is no number, instead of whatever stood there."""
    before = _marked.set(True)
    try:
        yield
    finally:
        _marked.reset(before)


def is_marked() -> bool:
    """Whether it is so."""
    return _marked.get()


@lru_cache(maxsize=1)
def _advise() -> Any:
    """The C library's ``madvise``; None where there is none like Linux's."""
    if sys.platform != "linux":
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function
