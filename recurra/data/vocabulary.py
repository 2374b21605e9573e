"""Units of text: characters, words or byte pairs, and their ids."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from recurra.data.bpe import BytePairs
from recurra.data.byte_units import Bytes
from recurra.data.characters import Characters
from recurra.data.lexicon import Decoder, Lexicon
from recurra.data.moses import MOSES
from recurra.data.pretokenised import PRETOKENISED
from recurra.data.words import WORDS
from recurra.errors import BadInput, unknown
from recurra.files import write_text

UNITS = {kind.unit: kind for kind in (Characters, Bytes, WORDS, PRETOKENISED, MOSES, BytePairs)}


class Vocabulary(Protocol):
    """What ids 0 to ``len(vocabulary) - 1`` stand for. Encoded text has ``dtype``, the smallest that holds them."""

    unit: str
    unknown: int | None  # the id of everything that training did not see; None where there is no such thing
    dtype: np.dtype

    def __len__(self) -> int: ...

    def encode(self, text: str) -> np.ndarray: ...

    def encode_strict(self, text: str) -> np.ndarray: ...

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[np.ndarray]: ...

    def decode(self, ids: Sequence[int] | np.ndarray) -> str: ...

    def decoder(self) -> Decoder: ...

    def to_json(self) -> dict[str, object]: ...


def build_vocabulary(
    unit: str, chunks: Iterable[str], *, min_count: int = 1, size: int | None = None
) -> Characters | Bytes | Lexicon | BytePairs:
    """The vocabulary of a text in one pass.

    Args:
        unit: "characters", "bytes", "words" (of raw text), "pretokenised" (separated by blanks, ``<eos>`` per line),
            "moses" (words as its tokeniser has them) or "bpe".
        chunks: the training text, in pieces cut anywhere.
        min_count: what occurs less often is unknown; with "bpe", is not merged.
        size: most ids, unknown included; None for no limit (with "bpe" 8,192).

    Raises:
        BadInput: no such unit; nothing of the text is in the vocabulary; a size or package that will not do.
    """
    if unit not in UNITS:
        raise unknown("unit of text", unit, UNITS)
    vocabulary = UNITS[unit].build(chunks, min_count, size)
    if len(vocabulary) < 2:
        raise BadInput(
            f"no {unit} left for the vocabulary (min_count {min_count}, size {size}); lower the one or raise the other"
        )
    return vocabulary


def save_vocabulary(vocabulary: Vocabulary, path: Path) -> None:
    """Write ``vocabulary`` as JSON, atomically."""
    write_text(path, _to_text(vocabulary))


def load_vocabulary(path: Path) -> Vocabulary:
    """Read what :func:`save_vocabulary` wrote.

    Raises:
        BadInput: the file is missing or damaged, or needs a package that is missing.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return UNITS[record["unit"]].from_json(record)
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}); a run folder holds its vocabulary, copy it"
        ) from error
    except BadInput:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: damaged vocabulary ({error!r}); copy it again, or train again") from error


def fingerprint(vocabulary: Vocabulary) -> str:
    """sha256 of what the vocabulary holds."""
    return hashlib.sha256(_to_text(vocabulary).encode()).hexdigest()


def _to_text(vocabulary: Vocabulary) -> str:
    return json.dumps(vocabulary.to_json(), ensure_ascii=False, indent=0) + "\n"
