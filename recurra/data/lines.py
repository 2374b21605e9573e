"""Text files of any encoding, opened so that bytes of another one are named by their line."""

import codecs
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from recurra.data import standard_input
from recurra.data.text import TextSource, decompressed
from recurra.errors import BadInput


@contextmanager
def open_text(path: Path, encoding: str, newline: str = "\n") -> Iterator[TextIO]:
    """A text file, gzip or not; ``newline`` as for :func:`open`. A byte-order mark of UTF-8 is dropped.

    Raises:
        BadInput: an unknown encoding, a file that :class:`TextSource` refuses, or, while reading, bytes that are not of
            the encoding.
    """
    try:
        codec = codecs.lookup(encoding).name
        "a".encode(codec)  # fails for those that are no encodings of text
    except (LookupError, UnicodeError) as error:
        raise BadInput(f"unknown encoding {encoding!r}; known are those of Python, for instance latin-1") from error
    TextSource([path])
    try:
        with (
            decompressed(path) as file,
            io.TextIOWrapper(file, "utf-8-sig" if codec == "utf-8" else codec, newline=newline) as text,
        ):
            yield text
    except UnicodeDecodeError as error:
        raise _misplaced(path, codec) or error from error


def read_lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines of a file without their ends, numbered from 1; a line ends in LF or CR LF.

    Raises:
        BadInput: as for :func:`open_text`.
    """
    with open_text(path, encoding) as file:
        for number, line in enumerate(file, 1):
            yield number, line.removesuffix("\n").removesuffix("\r")


def json_of(text: str) -> Any:
    """What a text of JSON holds.

    Raises:
        ValueError: it is none, is nested too deeply, or holds half a pair of surrogates, which is no character.
    """
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if "\\ud" in text or "\\uD" in text:
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _misplaced(path: Path, codec: str) -> BadInput | None:
    # read again, line by line: a decoder tells only the place within its block
    with decompressed(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode(codec)
            except UnicodeDecodeError as error:
                found = f"byte 0x{line[error.start]:02x} is not of {codec}"
                mend = "say which encoding it is (--encoding latin-1 ?), or pass it through iconv"
                return BadInput(f"{path}: line {number}: {found}; {mend}")
    return None


def lines_of(source: str) -> tuple[str, Iterator[tuple[int, str]]]:
    """How messages name a file, or standard input where it is "-", and its lines with their numbers, from 1 on.

    Raises:
        BadInput: there is no such file; while reading, bytes that are not UTF-8.
    """
    if source == "-":
        return "standard input", enumerate((line.rstrip("\r") for line in standard_input.lines()), 1)
    if not Path(source).is_file():
        raise BadInput(f"{source}: no such file; check the path")
    return source, read_lines(Path(source), "utf-8")
