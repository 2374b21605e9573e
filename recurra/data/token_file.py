"""Token ids on disk, read a stretch at a time."""

import os
import weakref
from pathlib import Path
from typing import Protocol

import numpy as np


class Tokens(Protocol):
    """A long row of token ids, of which stretches are asked for: an array, or a :class:`TokenFile`."""

    def __len__(self) -> int: ...

    def __getitem__(self, stretch: slice, /) -> np.ndarray: ...


class TokenFile:
    """``tokens[start:stop]`` of a binary file of ``dtype``, as a read-only array.

    Reads rather than maps: the pages of a memory map count as the process's own memory once touched, so after an
    epoch it would hold the whole text. ``np.asarray(tokens)`` is the map, for whoever wants to see everything at once.
    """

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self.path = path
        self.dtype = dtype
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        self._length = os.fstat(self._descriptor).st_size // dtype.itemsize

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, stretch: slice, /) -> np.ndarray:
        start, stop, step = stretch.indices(self._length)
        if step != 1:
            raise ValueError(f"tokens are read in order, without steps; got a step of {step}")
        size, offset = max(0, stop - start) * self.dtype.itemsize, start * self.dtype.itemsize
        return np.frombuffer(read_at(self._descriptor, offset, size, self.path), self.dtype)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        mapped = np.memmap(self.path, self.dtype, "r") if self._length else np.empty(0, self.dtype)
        return np.array(mapped, dtype, copy=copy)


def read_at(descriptor: int, offset: int, size: int, path: Path) -> bytes:
    """Exactly ``size`` bytes of an open file from ``offset`` on.

    Raises:
        OSError: it ends before; ``path`` is named.
    """
    data = os.pread(descriptor, size, offset)
    while len(data) < size:  # one read returns 2 GiB at most
        more = os.pread(descriptor, size - len(data), offset + len(data))
        if not more:
            raise OSError(f"{path}: shortened while in use")
        data += more
    return data
