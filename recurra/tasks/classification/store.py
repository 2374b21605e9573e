"""The cases of some files, read once and kept on disk, so that they can be many times the memory."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from recurra.data.cases import Case, CaseColumns, read_cases
from recurra.data.download import sha256_of
from recurra.data.idx import labels_beside
from recurra.data.ragged_file import RaggedFile, write_ragged
from recurra.data.text import files_of
from recurra.data.texts import BYTES, Texts, as_bytes, as_text, write_texts
from recurra.errors import BadInput
from recurra.files import cached, write_text

FORMAT = 1
"""Part of every key: raise it when the same files would be kept otherwise."""

SERIES = np.dtype(np.float32)


@dataclass(frozen=True)
class Store:
    """Cases in the order of the files.

    Args:
        key: sha256 of all that they depend on.
        x: the bytes of texts in UTF-8 (uint8, one feature), or series.
        labels: of each case.
        hashes: sha256 of each file read, of a folder the one of all that is in it, by path.
    """

    key: str
    x: RaggedFile
    labels: list[tuple[str, ...]]
    hashes: dict[str, str]
    _places: Texts

    @property
    def kind(self) -> Literal["text", "series"]:
        return "text" if self.x.dtype == BYTES else "series"

    def __len__(self) -> int:
        return len(self.labels)

    def text(self, case: int) -> str:
        """A text as it stood."""
        return as_text(self.x[case])

    def place(self, case: int) -> str:
        """The file and the line that a case stands in."""
        return self._places[case]


def keep_cases(paths: Sequence[Path], columns: CaseColumns) -> Store:
    """The labelled cases of files, from the cache where the same content was read before.

    Raises:
        BadInput: as of :func:`recurra.data.cases.read_cases`, or the cache folder cannot be written.
    """
    hashes = {str(path): _digest(path) for path in paths}
    key = _key(list(hashes.items()), columns._asdict())
    folder = cached("cases", key)
    if not (folder / "labels.json").exists():
        _write(folder, read_cases(paths, columns))
    labels = [tuple(found) for found in json.loads((folder / "labels.json").read_text())]
    return Store(key, RaggedFile(folder / "x.ragged"), labels, hashes, Texts(folder / "places.ragged"))


def keep_tokens(store: Store, encode: Callable[[str], np.ndarray], dtype: np.dtype, *depends: str) -> RaggedFile:
    """The texts of a store as tokens, from the cache where they were encoded before.

    Args:
        depends: what ``encode`` depends on.
    """
    path = cached("cases", store.key) / f"{_key(*depends)}.ragged"
    with suppress(OSError, BadInput):  # none yet, or a damaged one
        return RaggedFile(path)
    return write_ragged(path, (encode(store.text(case)) for case in range(len(store))), dtype, 1)


def _write(folder: Path, cases: Iterator[Case]) -> None:
    first = next(cases)
    dtype, features = (BYTES, 1) if isinstance(first.x, str) else (SERIES, first.x.shape[1])
    labels: list[tuple[str, ...]] = []
    places: list[str] = []

    def arrays() -> Iterator[np.ndarray]:
        for case in _again(first, cases):
            labels.append(case.labels)
            places.append(case.place)
            yield as_bytes(case.x) if isinstance(case.x, str) else case.x

    write_ragged(folder / "x.ragged", arrays(), dtype, features)
    write_texts(folder / "places.ragged", places)
    write_text(folder / "labels.json", json.dumps(labels, ensure_ascii=False))  # last: it says that all is there


def _again(first: Case, rest: Iterator[Case]) -> Iterator[Case]:
    yield first
    yield from rest


def _digest(path: Path) -> str:
    """sha256 of a file; of a folder, or of images and the labels beside them, one of the names and bytes of all."""
    files = files_of(path)
    if path.is_file() and (labels := labels_beside(path)) is not None:
        files = [path, labels]
    if files == [path]:
        return sha256_of(path)
    lines = [f"{os.path.relpath(file, path.parent)}\0{sha256_of(file)}\n" for file in files]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _key(*depends: object) -> str:
    return hashlib.sha256(json.dumps([FORMAT, *depends]).encode()).hexdigest()
