"""Text that a tokeniser has already set apart, as the Penn Treebank comes."""

import re
from collections.abc import Sequence

from recurra.data.lexicon import Splitting

END_OF_LINE = "<eos>"


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


PRETOKENISED = Splitting("pretokenised", _split, re.compile(r"\S+"), PretokenisedDecoder)
"""What blanks separate, taken as it is; each line end becomes ``<eos>``, as the Penn Treebank is read.

Source: Mikolov et al. (2010), Interspeech; Zaremba, Sutskever and Vinyals (2014), arXiv:1409.2329.
"""
