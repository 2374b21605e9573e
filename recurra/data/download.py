"""Downloads that are verified, kept, and continued where they broke off."""

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.errors import BadInput

if TYPE_CHECKING:
    from requests import RequestException
    from rich.progress import Progress

WAITS = (0.5, 1.0, 2.0)  # seconds before the second, third and fourth try
TIMEOUT = (6.0, 30.0)  # seconds to connect, and between two pieces of the answer
PIECE = 1 << 16  # bytes


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(address: str, path: Path, *, sha256: str, size: int) -> None:
    """Leave the file at ``address`` in ``path``, unless the right one is already there.

    The bytes gather in ``.NAME.part`` beside ``path`` and take its name only once their sha256 is right. A download
    that broke off, in this process or in one killed before, continues from there where the server can send ranges,
    and starts over where it cannot. Processes that want the same file wait for one another.

    Args:
        sha256: of the bytes at ``address``; what ``path`` holds is trusted only if it has the same.
        size: of the file at ``address``, in bytes.

    Raises:
        BadInput: the address cannot be reached or gives another file (which is removed), or ``path`` cannot be
            written. What ``path`` held before is untouched.
    """
    if path.is_file() and sha256_of(path) == sha256:
        return
    from filelock import FileLock
    from requests import RequestException

    part = path.with_name(f".{path.name}.part")
    data_folder = os.environ.get("RECURRA_DATA") or "not set"
    mend = f"set RECURRA_DATA (now {data_folder}) to a folder with the packed sets, or put the file at {path}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            _retrieve(address, path, part, sha256, size)
    except RequestException as error:
        kept = part.stat().st_size if part.is_file() else 0
        mend = f"run again to continue after {kept} of {size} bytes, {mend}" if kept else mend
        raise BadInput(f"{address}: cannot be downloaded ({_reason(error)}); {mend}") from error
    except OSError as error:
        mend = "free some space there or set RECURRA_CACHE to another folder"
        raise BadInput(f"{path}: cannot be written ({error.strerror or error}); {mend}") from error
    except ValueError as error:
        wrong = f"gives another file than the catalogue's of {size} bytes, sha256 {sha256[:12]}…"
        raise BadInput(f"{address}: {wrong}; it was removed; {mend}") from error


def _retrieve(address: str, path: Path, part: Path, sha256: str, size: int) -> None:
    """Download to ``path`` through pooch, which raises ValueError, and removes what came, where the hash differs."""
    import pooch

    def download(url: str, output_file: str, _: object) -> None:
        _complete(url, part, size)
        os.replace(part, output_file)

    def retrieve() -> None:
        pooch.retrieve(address, known_hash=f"sha256:{sha256}", fname=path.name, path=path.parent, downloader=download)

    pooch.get_logger().setLevel("WARNING")
    try:
        retrieve()
    except ValueError:  # the file may have changed between two halves: once more, now from its first byte
        retrieve()


def _complete(address: str, part: Path, size: int) -> None:
    """Bring ``part`` to its full length, over as many connections as there are tries."""
    from requests import RequestException

    with _progress() as progress:
        bar = progress.add_task(address.rsplit("/", 1)[-1], total=size)
        for wait in (*WAITS, None):
            try:
                for held in _continue(address, part, size):
                    progress.update(bar, completed=held)
                return
            except RequestException as error:
                if wait is None or not _may_pass(error):
                    raise
                time.sleep(wait)


def _continue(address: str, part: Path, size: int) -> Iterator[int]:
    """One request for the bytes that ``part`` lacks; yields the bytes it holds after each piece."""
    import requests

    held = part.stat().st_size if part.is_file() else 0
    if held == size:
        return
    headers = {"Accept-Encoding": "identity"}  # a range of compressed bytes would be no range of the file
    if held:
        headers["Range"] = f"bytes={held}-"
    with requests.get(address, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink(missing_ok=True)
        response.raise_for_status()
        continues = response.status_code == requests.codes.partial_content
        with part.open("ab" if continues else "wb") as file:
            for piece in response.iter_content(PIECE):
                file.write(piece)
                yield file.tell()
                if file.tell() > size:
                    return


def _may_pass(error: "RequestException") -> bool:
    """Whether another try may succeed: a broken connection, a half no longer wanted (416), a busy server."""
    return error.response is None or error.response.status_code in (416, 429) or error.response.status_code >= 500


def _reason(error: "RequestException") -> str:
    if error.response is None:
        return f"no network, or the connection broke: {type(error).__name__}"
    return f"the server answers {error.response.status_code} {error.response.reason}"


def _progress() -> "Progress":
    """A bar on standard error where that is a terminal, nothing otherwise."""
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    return progress.Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
