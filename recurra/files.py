"""Writing files so that a kill at any moment leaves the old file or the new one, never half of one."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from recurra.errors import BadInput

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; on success it replaces ``path``, on failure it is removed. A pipe or
    device that has a name cannot be replaced: it is what is written to.

    Raises:
        BadInput: ``path`` is a folder, the disk is full or its folder not writable; what ``path`` held is untouched.
    """
    if path.is_dir():
        raise BadInput(f"{path}: is a folder; name a file to write")
    if path.exists() and not path.is_file():
        yield path
        return
    real = Path(os.path.realpath(path))  # of a link, the file that it names
    part = real.with_name(f".{real.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(part, real)
    except OSError as error:
        if error.errno in _FULL:
            raise BadInput(f"{path}: no space left on the disk; free some and run again (nothing was lost)") from error
        if error.filename is not None and Path(error.filename) == part:
            raise BadInput(f"{path}: cannot be written ({error.strerror}); check the folder and its rights") from error
        raise
    finally:
        with suppress(OSError):  # on a read-only disk even removing nothing fails
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def cache_folder() -> Path:
    """Where downloads and tokenised texts are kept: ``$RECURRA_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("RECURRA_CACHE") or platformdirs.user_cache_path("recurra"))


def cached(*names: str) -> Path:
    """The folder of that name in the cache folder; made if it is not there.

    Raises:
        BadInput: it cannot be made.
    """
    folder = cache_folder().joinpath(*names)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be made ({error.strerror}); set RECURRA_CACHE to a folder you own") from error
    return folder
