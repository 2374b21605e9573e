"""Vocabularies of words, however a text falls into them: borders, counting, looking up."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

import numpy as np

from recurra.errors import BadInput

UNKNOWN = "<unk>"
# no unit crosses from a word into the blank after it, and none depends on what is on the other side
BORDER = re.compile(r".*\S(?=[ \t\r\n])", re.DOTALL)


def whole_words(chunks: Iterable[str], size: int = 1 << 20) -> Iterator[str]:
    """The same text in pieces of about ``size`` characters that end where a word ends, before the blank.

    Memory grows only with the longest stretch without a blank.
    """
    pending = [""]
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            part = chunk[start : start + size]
            last = pending[-1][-1:]
            if border := BORDER.match(last + part):
                cut = border.end() - len(last)
                yield "".join(pending) + part[:cut]
                pending = [part[cut:]]
            else:
                pending.append(part)
    if rest := "".join(pending):
        yield rest


def frequent(counts: Counter[str], min_count: int, size: int | None) -> list[str]:
    """The types that occur ``min_count`` times or more, most frequent first (ties by code point), ``size - 1`` at most.

    One place is left for ``<unk>``, which is not among them.
    """
    kept = [kind for kind, count in counts.items() if count >= min_count and kind != UNKNOWN]
    return sorted(kept, key=lambda kind: (-counts[kind], kind))[: None if size is None else max(0, size - 1)]


class Decoder(Protocol):
    """Text from ids as they come: what the pushes and ``finish`` return is together what ``decode`` would."""

    def push(self, token: int) -> str:
        """The text that ``token`` completes, perhaps none."""

    def finish(self) -> str:
        """The text that is left when no token follows."""


@dataclass(frozen=True)
class Splitting:
    """How a text falls into words, and how words become a text again.

    Args:
        unit: its name.
        split: the words of a text that begins and ends where a word may.
        pattern: matches the words that a prompt is checked for.
        decoder: from all words by id to what decodes ids as they come.
    """

    unit: str
    split: Callable[[str], list[str]]
    pattern: re.Pattern[str]
    decoder: Callable[[Sequence[str]], Decoder]

    def build(self, chunks: Iterable[str], min_count: int = 1, size: int | None = None) -> "Lexicon":
        """The words of a text that occur at least ``min_count`` times, at most ``size`` ids. Memory: the types."""
        counts: Counter[str] = Counter()
        for text in whole_words(chunks):
            counts.update(self.split(text))
        return Lexicon(self, frequent(counts, min_count, size))

    def from_json(self, record: dict[str, list[str]]) -> "Lexicon":
        return Lexicon(self, record["types"])


class Lexicon:
    """A vocabulary of words.

    Args:
        splitting: what a word is.
        types: the known words, each once; the i-th gets id i + 1, everything else id 0, ``<unk>``.
    """

    unknown: int | None = 0

    def __init__(self, splitting: Splitting, types: Sequence[str]) -> None:
        self.unit = splitting.unit
        self.types = list(types)
        self.dtype = np.min_scalar_type(len(self.types))
        self._splitting = splitting
        self._ids = {UNKNOWN: 0} | {kind: number for number, kind in enumerate(self.types, 1)}
        if len(self._ids) != len(self):
            raise ValueError("a word occurs twice")

    def __len__(self) -> int:
        return 1 + len(self.types)

    def encode(self, text: str) -> np.ndarray:
        """The ids of the words of ``text``."""
        words = self._splitting.split(text)
        return np.fromiter((self._ids.get(word, 0) for word in words), self.dtype, len(words))

    def encode_strict(self, text: str) -> np.ndarray:
        """As :meth:`encode`.

        Raises:
            BadInput: a word is unknown; names the first, its position (character, from 0) and the nearest known.
        """
        for match in self._splitting.pattern.finditer(text):
            if match.group() not in self._ids:
                raise self._not_known(match)
        return self.encode(text)

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[np.ndarray]:
        """The ids of a text that comes in pieces, cut anywhere; together those of the whole."""
        return map(self.encode, whole_words(chunks))

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Readable text, blanks set by rule since the original ones were not kept."""
        decoder = self.decoder()
        return "".join(decoder.push(token) for token in np.asarray(ids).tolist()) + decoder.finish()

    def decoder(self) -> Decoder:
        """Decodes ids as they come."""
        return self._splitting.decoder([UNKNOWN, *self.types])

    def to_json(self) -> dict[str, object]:
        return {"unit": self.unit, "unknown": UNKNOWN, "types": self.types}

    def _not_known(self, match: re.Match[str]) -> BadInput:
        near = get_close_matches(match.group(), self._ids, n=1)
        mend = f"did you mean {near[0]!r}?" if near else "use other words"
        return BadInput(
            f"prompt: the word {match.group()!r} at position {match.start()} is not among the {len(self.types):,} "
            f"words that the model knows; {mend}"
        )
