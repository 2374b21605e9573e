"""Writing files so that a kill at any moment leaves the old file or the new one, never half of one."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from recurra.errors import BadInput


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; on success it replaces ``path``, on failure it is removed.

    Raises:
        BadInput: the disk is full; what ``path`` held before is untouched.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BadInput(f"{path}: no space left on the disk; free some and run again (nothing was lost)") from error
        raise
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def cache_folder() -> Path:
    """Where downloads and tokenised texts are kept: ``$RECURRA_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("RECURRA_CACHE") or platformdirs.user_cache_path("recurra"))
