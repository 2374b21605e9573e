"""Characters as the units of text."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from recurra.data.lexicon import UNKNOWN, frequent
from recurra.errors import BadInput

CODE_POINTS = 0x110000
REPLACEMENT = "\ufffd"  # how an unknown character is written


class Characters:
    """One id per character; id 0 is any character that training did not see.

    Args:
        characters: the known ones, each once; the i-th gets id i + 1.
    """

    unit = "characters"
    unknown: int | None = 0

    def __init__(self, characters: str) -> None:
        if len(set(characters)) != len(characters):
            raise ValueError("a character occurs twice")
        self.characters = characters
        self.dtype = np.min_scalar_type(len(characters))
        self._ids = np.zeros(CODE_POINTS, self.dtype)
        self._ids[_code_points(characters)] = np.arange(1, len(self))
        self._code_points = _code_points(REPLACEMENT + characters)

    @classmethod
    def build(cls, chunks: Iterable[str], min_count: int = 1, size: int | None = None) -> "Characters":
        """The characters of a text that occur at least ``min_count`` times, at most ``size - 1``, by code point."""
        counts = np.zeros(CODE_POINTS, np.int64)
        for chunk in chunks:
            found = np.bincount(_code_points(chunk))
            counts[: len(found)] += found
        counter = Counter({chr(point): int(counts[point]) for point in counts.nonzero()[0]})
        return cls("".join(sorted(frequent(counter, min_count, size))))

    def __len__(self) -> int:
        return 1 + len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """The ids of ``text``, one per character."""
        return self._ids[_code_points(text)]

    def encode_strict(self, text: str) -> np.ndarray:
        """As :meth:`encode`.

        Raises:
            BadInput: a character is unknown; names the first, its position (from 0) and what is known.
        """
        ids = self.encode(text)
        if not ids.all():
            position = int(np.argmin(ids != 0))
            shown = repr(self.characters if len(self.characters) <= 100 else self.characters[:100] + "…")
            raise BadInput(
                f"prompt: the character {text[position]!r} (U+{ord(text[position]):04X}) at position {position} never "
                f"occurs in the training text; use the {len(self.characters):,} known ones: {shown}"
            )
        return ids

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[np.ndarray]:
        """The ids of a text that comes in pieces; together those of the whole."""
        return map(self.encode, chunks)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of ``ids``, exactly; unknown characters as U+FFFD."""
        return self._code_points[np.asarray(ids, np.intp)].tobytes().decode("utf-32-le", "surrogatepass")

    def decoder(self) -> "CharacterDecoder":
        """Decodes ids as they come."""
        return CharacterDecoder(REPLACEMENT + self.characters)

    def to_json(self) -> dict[str, object]:
        return {"unit": self.unit, "unknown": UNKNOWN, "characters": self.characters}

    @classmethod
    def from_json(cls, record: dict[str, str]) -> "Characters":
        return cls(record["characters"])


class CharacterDecoder:
    """One character per id."""

    def __init__(self, pieces: str) -> None:
        self._pieces = pieces

    def push(self, token: int) -> str:
        return self._pieces[token]

    def finish(self) -> str:
        return ""


def _code_points(text: str) -> np.ndarray:
    # a command line hands over bytes that are not UTF-8 as lone surrogates: unknown characters, not a crash
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
