"""Bytes as the units of text: a vocabulary that is known before any text is."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from recurra.data.bpe import BYTES, ByteDecoder
from recurra.errors import BadInput


class Bytes:
    """One id per byte of UTF-8, or of anything else; nothing is unknown."""

    unit = "bytes"
    unknown: int | None = None
    dtype = np.dtype(np.uint8)

    @classmethod
    def build(cls, chunks: Iterable[str], min_count: int = 1, size: int | None = None) -> "Bytes":
        """All 256, whatever the text.

        Raises:
            BadInput: ``min_count`` or ``size`` would leave some out.
        """
        if min_count > 1 or (size is not None and size < BYTES):
            raise BadInput(f"bytes are all {BYTES} in the vocabulary; leave out --min-count and --vocabulary-size")
        return cls()

    def __len__(self) -> int:
        return BYTES

    def encode(self, text: str) -> np.ndarray:
        """The bytes of ``text``; those that a command line hands over as lone surrogates are themselves again."""
        return np.frombuffer(text.encode("utf-8", "surrogateescape"), self.dtype)

    def encode_strict(self, text: str) -> np.ndarray:
        """As :meth:`encode`: every text can be spelt."""
        return self.encode(text)

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[np.ndarray]:
        """The ids of a text that comes in pieces; together those of the whole."""
        return map(self.encode, chunks)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of ``ids``; U+FFFD where they are not the bytes of characters."""
        return np.asarray(ids, self.dtype).tobytes().decode("utf-8", "replace")

    def decoder(self) -> ByteDecoder:
        """Decodes ids as they come, a character once all its bytes have."""
        return ByteDecoder([bytes([byte]) for byte in range(BYTES)])

    def to_json(self) -> dict[str, object]:
        return {"unit": self.unit}

    @classmethod
    def from_json(cls, record: dict[str, object]) -> "Bytes":
        return cls()


def characters(ids: np.ndarray) -> int:
    """How many characters of UTF-8 begin among these bytes."""
    return int(((ids & 0xC0) != 0x80).sum())
