"""Texts on disk, read one at a time."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from recurra.data.ragged_file import RaggedFile, write_ragged

BYTES = np.dtype(np.uint8)


class Texts:
    """``texts[i]`` of a file that :func:`write_texts` made.

    Raises:
        BadInput: the file is not one of these, or not whole.
    """

    def __init__(self, path: Path) -> None:
        self._file = RaggedFile(path)

    def __len__(self) -> int:
        return len(self._file)

    def __getitem__(self, number: int, /) -> str:
        return as_text(self._file[number])


def write_texts(path: Path, texts: Iterable[str]) -> None:
    """Write texts as they come, atomically; none of them is kept in memory.

    Raises:
        BadInput: the disk is full or the folder not writable.
    """
    write_ragged(path, map(as_bytes, texts), BYTES, 1)


def as_bytes(text: str) -> np.ndarray:
    """A text in UTF-8; a lone surrogate is kept as it is."""
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), BYTES)


def as_text(found: np.ndarray) -> str:
    """The text of what `as_bytes` gave."""
    return found.tobytes().decode("utf-8", "surrogatepass")
