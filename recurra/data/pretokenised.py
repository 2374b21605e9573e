"""Text that a tokeniser has already set apart, as the Penn Treebank comes."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from recurra.data.lexicon import UNKNOWN, check_known, frequent, look_up, numbered, whole_words

END_OF_LINE = "<eos>"
TOKEN = re.compile(r"\S+")


class Pretokenised:
    """What blanks separate, taken as it is; each line end becomes ``<eos>``, as the Penn Treebank is read.

    Args:
        types: the known ones, each once; the i-th gets id i + 1, everything else, and a ``<unk>`` in the text, id 0.

    Source: Mikolov et al. (2010), Interspeech; Zaremba, Sutskever and Vinyals (2014), arXiv:1409.2329.
    """

    unit = "pretokenised"
    unknown: int | None = 0

    def __init__(self, types: Sequence[str]) -> None:
        self.types = list(types)
        self.dtype = np.min_scalar_type(len(self.types))
        self._ids = numbered(self.types)

    @classmethod
    def build(cls, chunks: Iterable[str], min_count: int = 1, size: int | None = None) -> "Pretokenised":
        """The types of a text that occur at least ``min_count`` times, at most ``size`` ids. Memory: the types."""
        counts: Counter[str] = Counter()
        for text in whole_words(chunks):
            counts.update(_split(text))
        return cls(frequent(counts, min_count, size))

    def __len__(self) -> int:
        return 1 + len(self.types)

    def encode(self, text: str) -> np.ndarray:
        """The ids of the tokens of ``text``; no ``<eos>`` where the last line has no end."""
        return look_up(self._ids, _split(text), self.dtype)

    def encode_strict(self, text: str) -> np.ndarray:
        """As :meth:`encode`.

        Raises:
            BadInput: a token is unknown; names the first, its position (character, from 0) and the nearest known.
        """
        check_known(text, TOKEN, self._ids)
        return self.encode(text)

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[np.ndarray]:
        """The ids of a text that comes in pieces, cut anywhere; together those of the whole."""
        return map(self.encode, whole_words(chunks))

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The tokens with a blank between them, a line end for each ``<eos>``."""
        decoder = self.decoder()
        return "".join(decoder.push(token) for token in np.asarray(ids).tolist())

    def decoder(self) -> "PretokenisedDecoder":
        """Decodes ids as they come."""
        return PretokenisedDecoder([UNKNOWN, *self.types])

    def to_json(self) -> dict[str, object]:
        return {"unit": self.unit, "unknown": UNKNOWN, "types": self.types}

    @classmethod
    def from_json(cls, record: dict[str, list[str]]) -> "Pretokenised":
        return cls(record["types"])


class PretokenisedDecoder:
    """Tokens with a blank between them, lines without one around them."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces
        self._at_start = True

    def push(self, token: int) -> str:
        piece = self._pieces[token]
        ends, at_start = piece == END_OF_LINE, self._at_start
        self._at_start = ends
        return "\n" if ends else piece if at_start else " " + piece

    def finish(self) -> str:
        return ""


def _split(text: str) -> list[str]:
    return text.replace("\n", f" {END_OF_LINE} ").split()
