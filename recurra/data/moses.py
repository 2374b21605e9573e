"""Words as Moses' tokeniser sets them apart, and texts put together again by its inverse."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from recurra.data.lexicon import Splitting
from recurra.errors import BadInput


class MosesDecoder:
    """Tokens put together by Moses' rules, which need all of them: they come out at the end."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces
        self._waiting: list[str] = []

    def push(self, token: int) -> str:
        self._waiting.append(self._pieces[token])
        return ""

    def finish(self) -> str:
        waiting, self._waiting = self._waiting, []
        return str(_tools()[1].detokenize(waiting, unescape=False))


def _split(text: str) -> list[str]:
    tokenizer = _tools()[0]
    return [word for line in text.split("\n") for word in tokenizer.tokenize(line, escape=False)]


@lru_cache(maxsize=1)
def _tools() -> tuple[Any, Any]:
    """The tokeniser and its inverse, by the rules of English where languages differ."""
    try:
        import sacremoses
    except ImportError as error:
        raise BadInput("Moses' tokeniser needs the sacremoses package: pip install 'recurra[translation]'") from error
    return sacremoses.MosesTokenizer(lang="en"), sacremoses.MosesDetokenizer(lang="en")


MOSES = Splitting("moses", _split, re.compile(r"\S+"), MosesDecoder)
"""Words, marks and numbers of raw text; line ends and other blanks are not kept.

Source: Koehn et al. (2007), "Moses: Open Source Toolkit for Statistical Machine Translation"; sacremoses.
"""
