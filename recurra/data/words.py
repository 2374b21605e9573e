"""The words and punctuation marks of raw text as its units."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from recurra.data.lexicon import UNKNOWN, check_known, frequent, look_up, numbered, whole_words

WORD = re.compile(r"\n|[\w\u0300-\u036f]+(?:['’-]\w+)*|[^\w\s]")
NO_SPACE_BEFORE = frozenset(".,;:!?)]}%…'’”»")
NO_SPACE_AFTER = frozenset("([{“‘«¿¡$£€#@")


class Words:
    """Words and punctuation marks of raw text; each line end is a token, other blanks are not kept.

    A word is letters, digits and underscores, with hyphens and apostrophes inside it. Scripts that write vowels as
    marks of their own (Devanagari, Thai) are split too finely: "bpe" and "pretokenised" serve them better.

    Args:
        types: the known ones, each once; the i-th gets id i + 1, everything else id 0, ``<unk>``.
    """

    unit = "words"
    unknown: int | None = 0

    def __init__(self, types: Sequence[str]) -> None:
        self.types = list(types)
        self.dtype = np.min_scalar_type(len(self.types))
        self._ids = numbered(self.types)

    @classmethod
    def build(cls, chunks: Iterable[str], min_count: int = 1, size: int | None = None) -> "Words":
        """The words of a text that occur at least ``min_count`` times, at most ``size`` ids. Memory: the types."""
        counts: Counter[str] = Counter()
        for text in whole_words(chunks):
            counts.update(WORD.findall(text))
        return cls(frequent(counts, min_count, size))

    def __len__(self) -> int:
        return 1 + len(self.types)

    def encode(self, text: str) -> np.ndarray:
        """The ids of the words of ``text``."""
        return look_up(self._ids, WORD.findall(text), self.dtype)

    def encode_strict(self, text: str) -> np.ndarray:
        """As :meth:`encode`.

        Raises:
            BadInput: a word is unknown; names the first, its position (character, from 0) and the nearest known.
        """
        check_known(text, WORD, self._ids)
        return self.encode(text)

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[np.ndarray]:
        """The ids of a text that comes in pieces, cut anywhere; together those of the whole."""
        return map(self.encode, whole_words(chunks))

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Readable text: blanks set by the rules of English print, since the original ones were not kept."""
        decoder = self.decoder()
        return "".join(decoder.push(token) for token in np.asarray(ids).tolist())

    def decoder(self) -> "WordDecoder":
        """Decodes ids as they come."""
        return WordDecoder([UNKNOWN, *self.types])

    def to_json(self) -> dict[str, object]:
        return {"unit": self.unit, "unknown": UNKNOWN, "types": self.types}

    @classmethod
    def from_json(cls, record: dict[str, list[str]]) -> "Words":
        return cls(record["types"])


class WordDecoder:
    """Words with a blank between them, except around line ends and where a punctuation mark leans on a word."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces
        self._joined = True  # the next piece follows without a blank
        self._quoting = False

    def push(self, token: int) -> str:
        piece = self._pieces[token]
        closing = piece in NO_SPACE_BEFORE or piece == "\n" or (piece == '"' and self._quoting)
        text = piece if self._joined or closing else " " + piece
        if piece in '"\n':
            self._quoting = piece == '"' and not self._quoting
        self._joined = piece in NO_SPACE_AFTER or piece == "\n" or (piece == '"' and self._quoting)
        return text

    def finish(self) -> str:
        return ""
