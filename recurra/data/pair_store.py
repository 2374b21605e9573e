"""Pairs of texts read once and kept on disk, as text and as tokens, so that they can be many times the memory."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra.data.download import sha256_of
from recurra.data.parallel import Pair
from recurra.data.ragged_file import RaggedFile, write_ragged
from recurra.data.texts import Texts, write_texts
from recurra.errors import BadInput
from recurra.files import cached

FORMAT = 1
"""Part of every key: raise it when the same files would be kept otherwise."""

PARTS = len(Pair._fields)


@dataclass(frozen=True)
class PairStore:
    """Pairs in the order of the files.

    Args:
        key: sha256 of all that they depend on.
        texts: of each pair its source, its target and its place, one after the other.
        hashes: sha256 of each file read, by path.
    """

    key: str
    texts: Texts
    hashes: dict[str, str]

    def __len__(self) -> int:
        return len(self.texts) // PARTS

    def __getitem__(self, number: int, /) -> Pair:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return Pair(*(self.texts[PARTS * number + part] for part in range(PARTS)))

    def side(self, target: bool) -> Iterator[str]:
        """All sources, or all targets."""
        return (self.texts[number] for number in range(int(target), len(self.texts), PARTS))


def keep_pairs(paths: Sequence[Path], read: Callable[[], Iterable[Pair]], *depends: object) -> PairStore:
    """The pairs of files, from the cache where the same content was read before.

    Args:
        read: gives them.
        depends: what ``read`` depends on besides the files, as JSON has it.

    Raises:
        BadInput: as of ``read``, there are none, or the cache folder cannot be written.
    """
    hashes = {str(path): sha256_of(path) for path in paths if path.is_file()}
    key = _key(list(hashes.values()), [str(path) for path in paths], *depends)
    path = cached("pairs", key) / "texts.ragged"
    with suppress(OSError, BadInput):  # none yet, or a damaged one
        return PairStore(key, Texts(path), hashes)
    write_texts(path, (text for pair in read() for text in pair))
    store = PairStore(key, Texts(path), hashes)
    if not len(store):
        path.unlink()
        raise BadInput(f"{paths[0]}: holds no pairs; give files that have some")
    return store


def keep_tokens(
    store: PairStore, *, target: bool, encode: Callable[[str], np.ndarray], dtype: np.dtype, depends: str
) -> RaggedFile:
    """One side of a store as tokens, from the cache where it was encoded before.

    Args:
        depends: what ``encode`` depends on.

    Raises:
        BadInput: as of ``encode``, with the place of the pair.
    """

    def tokens() -> Iterator[np.ndarray]:
        for number, text in enumerate(store.side(target)):
            try:
                yield encode(text)
            except BadInput as error:
                raise BadInput(f"{store[number].place}: {error}") from error

    path = cached("pairs", store.key) / f"{_key(target, depends)}.ragged"
    with suppress(OSError, BadInput):
        return RaggedFile(path)
    return write_ragged(path, tokens(), dtype, 1)


def _key(*depends: object) -> str:
    return hashlib.sha256(json.dumps([FORMAT, *depends]).encode()).hexdigest()
