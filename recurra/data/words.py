"""The words and punctuation marks of raw text as its units."""

import re
from collections.abc import Sequence

from recurra.data.lexicon import Splitting

WORD = re.compile(r"\n|[\w\u0300-\u036f]+(?:['’-]\w+)*|[^\w\s]")
NO_SPACE_BEFORE = frozenset(".,;:!?)]}%…'’”»")
NO_SPACE_AFTER = frozenset("([{“‘«¿¡$£€#@")


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


WORDS = Splitting("words", WORD.findall, WORD, WordDecoder)
"""Words and punctuation marks of raw text; each line end is a token, other blanks are not kept.

A word is letters, digits and underscores, with hyphens and apostrophes inside it. Scripts that write vowels as marks of
their own (Devanagari, Thai) are split too finely: "bpe" and "pretokenised" serve them better.
"""
