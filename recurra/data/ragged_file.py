"""Cases of numbers on disk, each of its own length, read one at a time."""

import os
import struct
import weakref
from array import array
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from recurra.data.token_file import read_at
from recurra.errors import BadInput
from recurra.files import replacing

FOOTER = struct.Struct("<8sqq8s")  # dtype, features, cases, MAGIC
MAGIC = b"ragged 1"
LENGTH = np.dtype("<i8")


class RaggedFile:
    """``cases[i]`` of a file that :func:`write_ragged` made: a read-only array (T_i, features).

    The values of all cases lie one after the other, then the lengths, then a footer. Only the lengths and the offsets
    (16 bytes a case) are held; the values are read rather than mapped, for the reason that
    :class:`~recurra.data.token_file.TokenFile` gives.

    Raises:
        BadInput: the file is not one of these, or not whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        size = os.fstat(self._descriptor).st_size
        footer = read_at(self._descriptor, size - FOOTER.size, FOOTER.size, path) if size >= FOOTER.size else b""
        if not footer.endswith(MAGIC):
            raise BadInput(f"{path}: not a whole file of cases; remove it and run again to make it anew")
        name, self.features, cases, _ = FOOTER.unpack(footer)
        self.dtype = np.dtype(name.rstrip(b"\0").decode())
        table = cases * LENGTH.itemsize
        at = size - FOOTER.size - table
        if at < 0:
            raise BadInput(f"{path}: shorter than the {cases:,} cases it counts; remove it and run again")
        self.lengths = np.frombuffer(read_at(self._descriptor, at, table, path), LENGTH)
        """Steps of each case, int64 (N,)."""
        self._ends = self.lengths.cumsum() * (self.features * self.dtype.itemsize)
        stated = int(self._ends[-1]) if cases else 0
        if at != stated:
            raise BadInput(f"{path}: holds {at:,} bytes of values, {stated:,} are stated; remove it and run again")

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, case: int, /) -> np.ndarray:
        return self.stretch(case, 0, int(self.lengths[case]))

    def stretch(self, case: int, begin: int, end: int) -> np.ndarray:
        """The steps ``begin`` up to ``end`` of a case; only they are read.

        Raises:
            ValueError: it does not have them.
        """
        length = int(self.lengths[case])
        if not 0 <= begin <= end <= length:
            raise ValueError(f"case {case} has {length} steps; asked for {begin} up to {end}")
        row = self.features * self.dtype.itemsize
        data = read_at(self._descriptor, int(self._ends[case]) - (length - begin) * row, (end - begin) * row, self.path)
        return np.frombuffer(data, self.dtype).reshape(-1, self.features)


def write_ragged(path: Path, arrays: Iterable[np.ndarray], dtype: np.dtype, features: int) -> RaggedFile:
    """Write arrays (T_i, features), or (T_i,) of one feature, as they come; none of them is kept.

    Atomic: until all are written, ``path`` holds what it held before.

    Raises:
        ValueError: an array of another dtype or shape.
        BadInput: the disk is full or the folder not writable.
    """
    lengths = array("q")
    dtype = np.dtype(dtype)
    with replacing(path) as part:
        with part.open("wb") as file:
            for values in arrays:
                shape = values.shape if values.ndim == 2 else (*values.shape, 1)
                if values.dtype != dtype or shape != (len(values), features):
                    wanted = f"{dtype} (T, {features})"
                    raise ValueError(f"case {len(lengths)} is {values.dtype} {values.shape}; it is to be {wanted}")
                file.write(values.tobytes())
                lengths.append(len(values))
            file.write(np.asarray(lengths, LENGTH).tobytes())
            file.write(FOOTER.pack(dtype.str.encode(), features, len(lengths), MAGIC))
    return RaggedFile(path)
