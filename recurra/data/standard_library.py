"""A text that every machine has: the source of Python's own standard library."""

import platform
import sysconfig
from pathlib import Path

from recurra.errors import BadInput
from recurra.files import cache_folder, write_text

BYTES = 2_000_000


def standard_library() -> Path:
    """Some 2 MB of the modules at the top of the standard library, one after another by name, as one UTF-8 file.

    Modules are taken whole until the next one would not fit. The file is kept in the cache folder under the name of
    this Python's version, so that a model trained on it finds the same text again.

    Raises:
        BadInput: this Python came without its sources, or the cache folder cannot be written.
    """
    path = cache_folder() / f"standard-library-{platform.python_version()}.txt"
    if path.exists():
        return path
    text = _select(Path(sysconfig.get_path("stdlib")))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"{path.parent}: cannot be made ({error.strerror}); set RECURRA_CACHE to a folder you own"
        ) from error
    write_text(path, text)
    return path


def _select(folder: Path) -> str:
    texts, size = [], 0
    for module in sorted(folder.glob("*.py")):
        source = module.read_bytes()
        if size + len(source) > BYTES:
            break
        try:
            texts.append(source.decode("utf-8"))
        except UnicodeDecodeError:
            continue
        size += len(source)
    if not texts:
        raise BadInput(
            f"{folder}: no Python sources here to learn from; install them, or use recurra fit on a text of yours"
        )
    return "".join(texts)
