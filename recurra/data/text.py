"""Plain text from files, folders and gzip, streamed so that its size does not matter."""

import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recurra.errors import BadInput

BLOCK = 1 << 22  # bytes read and decoded at a time
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class TextSummary:
    """What one pass over a text tells: sha256 of each file's (decompressed) bytes by path, and the sizes."""

    hashes: dict[str, str]
    characters: int
    bytes: int


class TextSource:
    """The texts of ``paths``, one after the other with nothing between them, as UTF-8.

    A folder stands for its regular files, searched recursively and sorted by name; hidden and empty ones are left
    out. Files that begin with gzip's two magic bytes are decompressed, whatever their name. A byte-order mark at the
    start of a file is dropped; line ends are kept as they are.

    Raises:
        BadInput: a path is missing, empty, unreadable, no regular file, or looks binary.
    """

    def __init__(self, paths: Sequence[Path], *, block: int = BLOCK) -> None:
        self.files = [file for path in paths for file in files_of(path)]
        self.block = block
        for path in self.files:
            _check_head(path)

    def chunks(self) -> Iterator[str]:
        """The text in blocks of a few MB, none of them empty.

        Raises:
            BadInput: bytes that are not UTF-8 (with their offset and line), or a damaged gzip file.
        """
        for path in self.files:
            for _, text in _read(path, self.block):
                if text:
                    yield text

    def lines(self) -> Iterator[str]:
        """The lines of the text, which end in a line feed; that is left out, a carriage return before it is not.

        Raises:
            BadInput: as for :meth:`chunks`.
        """
        rest = ""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split("\n")
            yield from whole
        if rest:
            yield rest

    def slice(self, start: int, stop: int) -> Iterator[str]:
        """The characters [start, stop) of the text, in blocks.

        Raises:
            BadInput: as for :meth:`chunks`, or the text ends before ``stop``.
        """
        if start >= stop:
            return
        position = 0
        for chunk in self.chunks():
            if position + len(chunk) > start:
                yield chunk[max(0, start - position) : stop - position]
            position += len(chunk)
            if position >= stop:
                return
        raise BadInput(f"{self.files[-1]}: ends before character {stop:,}; it was changed while being read, run again")

    def scan(self) -> TextSummary:
        """Hashes and sizes in one pass; a text that passes is valid UTF-8 to its end.

        Raises:
            BadInput: as for :meth:`chunks`.
        """
        hashes: dict[str, str] = {}
        characters = size = 0
        for path in self.files:
            digest = hashlib.sha256()
            for block, text in _read(path, self.block):
                digest.update(block)
                size += len(block)
                characters += len(text)
            hashes[str(path)] = digest.hexdigest()
        return TextSummary(hashes, characters, size)


def files_of(path: Path) -> list[Path]:
    """A file, or the visible files that are not empty below a folder, sorted.

    Raises:
        BadInput: the path is missing, empty or no regular file.
    """
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder; check the path")
    if path.is_file():
        if path.stat().st_size == 0:
            raise BadInput(f"{path}: the file is empty; give a text to learn from")
        return [path]
    if not path.is_dir():
        raise BadInput(f"{path}: not a regular file; write it to a file first, because a text is read more than once")
    found = [file for file in path.rglob("*") if file.is_file() and file.stat().st_size]
    visible = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    if not visible:
        raise BadInput(f"{path}: no text files in this folder; give a folder that holds some")
    return sorted(visible)


def _check_head(path: Path) -> None:
    head = next(_blocks(path, 1 << 16), b"")
    if not head:
        raise BadInput(f"{path}: nothing in it once decompressed; give a text to learn from")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadInput(f"{path}: is UTF-16; convert it: {_conversion(path, 'utf-16')}")
    if b"\0" in head:
        raise BadInput(f"{path}: looks binary (NUL at byte {head.index(0)}); give plain text files only")


def _conversion(path: Path, encoding: str) -> str:
    if _is_gzip(path):
        return f"gunzip -c < {path} | iconv -f {encoding} -t utf-8 > text.txt"
    return f"iconv -f {encoding} -t utf-8 {path} > text.txt"


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


@contextmanager
def decompressed(path: Path) -> Iterator[io.BufferedReader | gzip.GzipFile]:
    """A file opened for reading, its bytes decompressed where they are gzip's.

    Raises:
        BadInput: it cannot be read, or is a damaged gzip file; also while it is being read.
    """
    try:
        with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{path}: damaged gzip file ({error}); copy or download it again") from error
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error


def _blocks(path: Path, size: int) -> Iterator[bytes]:
    with decompressed(path) as file:
        while block := file.read(size):
            yield block


def _read(path: Path, size: int) -> Iterator[tuple[bytes, str]]:
    """Each block of a file with the characters that are complete once it is read."""
    pending, offset, at_start = b"", 0, True
    blocks = _blocks(path, size)
    block = next(blocks, b"")
    while block:
        following = next(blocks, b"")
        data = pending + block
        try:
            text, used = codecs.utf_8_decode(data, "strict", not following)
        except UnicodeDecodeError as error:
            place = offset + error.start
            line, byte = _line_of(path, place, size), data[error.start]
            raise BadInput(
                f"{path}: not UTF-8 at byte {place} (line {line}, byte 0x{byte:02x}); "
                f"convert it: {_conversion(path, 'latin1')}"
            ) from error
        pending, offset = data[used:], offset + used
        if at_start and text:
            text, at_start = text.removeprefix("\ufeff"), False
        yield block, text
        block = following


def _line_of(path: Path, offset: int, size: int) -> int:
    # read again: counting lines all along would cost as much as decoding
    line = 1
    for block in _blocks(path, size):
        line += block.count(b"\n", 0, offset)
        offset -= len(block)
        if offset <= 0:
            break
    return line
