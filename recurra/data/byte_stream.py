"""Bytes of a file, a pipe or standard input as they come, never held whole."""

import gzip
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from recurra.data.text import decompressed
from recurra.errors import BadInput

STANDARD_INPUT = "-"
PIECE = 1 << 16
SECONDS = 0.2
"""A pipe is waited for so long before whoever reads may do something else."""


@final
class ByteStream:
    """Made by :func:`open_stream`.

    Args:
        name: for messages.
        read: bytes that were read before.
        size: of all, where it is known.
    """

    def __init__(self, name: str, pieces: Iterator[bytes], read: int, size: int | None) -> None:
        self.name, self.read, self.size = name, read, size
        self._pieces = pieces
        self._first = b""

    def wait(self) -> None:
        """Until there are two bytes, of which one can be predicted from the other; they come first then.

        Raises:
            BadInput: the stream ends before.
        """
        while len(self._first) < 2:
            piece = next(self._pieces, None)
            if piece is None:
                raise BadInput(
                    f"{self.name}: ends after {len(self._first)} bytes, too few to predict one from another; "
                    "give a file or a pipe with text"
                )
            self._first += piece

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of at most 64 KiB, until the stream ends; an empty one where none came for a moment."""
        if self._first:
            piece, self._first = self._first, b""
            self.read += len(piece)
            yield piece
        for piece in self._pieces:
            self.read += len(piece)
            yield piece


@contextmanager
def open_stream(source: str, read: int = 0) -> Iterator[ByteStream]:
    """The bytes of ``source`` behind the first ``read``, gzip decompressed.

    Args:
        source: a file; a named pipe or "-", standard input, which cannot go back: there the next bytes to come follow.

    Raises:
        BadInput: no such file, a folder, one that cannot be read, is damaged, or ends before ``read``.
    """
    path = Path(source)
    if source == STANDARD_INPUT:
        yield ByteStream("standard input", _as_they_come(sys.stdin.fileno()), read, None)
    elif path.is_dir() or not path.exists():
        raise BadInput(f"{path}: {'a folder' if path.is_dir() else 'no such file'}; a stream is one file, a pipe, or -")
    elif not path.is_file():
        with path.open("rb", buffering=0) as pipe:
            yield ByteStream(source, _as_they_come(pipe.fileno()), read, None)
    else:
        with decompressed(path) as file:
            file.seek(max(0, read - 1))
            if read and not file.read(1):
                raise BadInput(f"{path}: ends before byte {read:,}, which was read already; restore what was cut off")
            size = None if isinstance(file, gzip.GzipFile) else path.stat().st_size
            yield ByteStream(source, iter(lambda: file.read(PIECE), b""), read, size)


def _as_they_come(descriptor: int) -> Iterator[bytes]:
    while True:
        ready, _, _ = select.select([descriptor], [], [], SECONDS)
        piece = os.read(descriptor, PIECE) if ready else b""
        if ready and not piece:
            return
        yield piece
