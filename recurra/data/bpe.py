"""Byte-level byte-pair encoding as the units of text, by the ``tokenizers`` package."""

import codecs
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.data.lexicon import whole_words
from recurra.errors import BadInput

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BYTES = 256  # the alphabet that every text is spelt in
DEFAULT_SIZE = 8192
PIECE = 1 << 12  # characters encoded as one; the cores share those of a chunk


class BytePairs:
    """Frequent byte sequences within words; every text can be spelt, so nothing is unknown.

    A word carries the blank before it. Text in pieces is cut before a blank that follows a word: there the pattern that
    splits words always splits, so the pieces give the same ids as the whole.

    Args:
        tokenizer: the JSON of a byte-level ``tokenizers.Tokenizer``.

    Raises:
        BadInput: the ``tokenizers`` package is missing.
        ValueError: not such a JSON.

    Source: Sennrich, Haddow and Birch (2016), ACL; on bytes: Radford et al. (2019), section 2.2.
    """

    unit = "bpe"
    unknown: int | None = None

    def __init__(self, tokenizer: str) -> None:
        package = _package()
        try:
            self._tokenizer: Tokenizer = package.Tokenizer.from_str(tokenizer)
        except Exception as error:  # the package raises no narrower type
            raise ValueError(f"not a tokenizer ({error})") from error
        byte_of = _byte_of_letter()
        pieces = [self._tokenizer.id_to_token(token) for token in range(len(self))]
        self._pieces = [bytes(byte_of[letter] for letter in piece) for piece in pieces]
        self.dtype = np.min_scalar_type(len(self) - 1)

    @classmethod
    def build(cls, chunks: Iterable[str], min_count: int = 1, size: int | None = None) -> "BytePairs":
        """Learn the merges of a text: pairs seen at least ``min_count`` times until there are ``size`` (8,192) ids.

        Raises:
            BadInput: ``size`` has no room for the 256 bytes, or the ``tokenizers`` package is missing.
        """
        size = DEFAULT_SIZE if size is None else size
        if size < BYTES:
            raise BadInput(f"a bpe vocabulary of {size} has no room for the {BYTES} bytes; use {BYTES} or more")
        package = _package()
        tokenizer = package.Tokenizer(package.models.BPE())
        tokenizer.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = package.decoders.ByteLevel()
        trainer = package.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=min_count,
            initial_alphabet=package.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(whole_words(chunks, PIECE), trainer)
        return cls(tokenizer.to_str())

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> np.ndarray:
        """The ids of ``text``."""
        return np.concatenate([np.empty(0, self.dtype), *self.encode_chunks([text])])

    def encode_strict(self, text: str) -> np.ndarray:
        """As :meth:`encode`: every text can be spelt.

        Raises:
            BadInput: ``text`` holds bytes that were no UTF-8.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadInput(f"prompt: not UTF-8 at position {error.start}; type it again or convert it") from error
        return self.encode(text)

    def encode_chunks(self, chunks: Iterable[str]) -> Iterator[np.ndarray]:
        """The ids of a text that comes in pieces, cut anywhere; together those of the whole."""
        for text in whole_words(chunks):
            pieces = self._tokenizer.encode_batch_fast(list(whole_words([text], PIECE)), add_special_tokens=False)
            yield np.array([token for piece in pieces for token in piece.ids], self.dtype)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of ``ids``, exactly; U+FFFD where they are not the bytes of characters."""
        return b"".join(self._pieces[token] for token in np.asarray(ids).tolist()).decode("utf-8", "replace")

    def decoder(self) -> "ByteDecoder":
        """Decodes ids as they come, a character once all its bytes have."""
        return ByteDecoder(self._pieces)

    def to_json(self) -> dict[str, object]:
        return {"unit": self.unit, "tokenizer": json.loads(self._tokenizer.to_str())}

    @classmethod
    def from_json(cls, record: dict[str, object]) -> "BytePairs":
        return cls(json.dumps(record["tokenizer"]))


class ByteDecoder:
    """UTF-8 from pieces of it."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        return self._decoder.decode(self._pieces[token])

    def finish(self) -> str:
        """What is left: U+FFFD for a character that did not end."""
        return self._decoder.decode(b"", final=True)


def _package() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise BadInput("byte-pair encoding needs the tokenizers package: pip install 'recurra[text]'") from error
    return tokenizers


def _byte_of_letter() -> dict[str, int]:
    """The byte that each letter of a byte-level vocabulary stands for: itself if it prints, else from U+0100 on."""
    printing = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(BYTES) if byte not in printing]
    return {chr(byte): byte for byte in printing} | {chr(BYTES + n): byte for n, byte in enumerate(others)}
