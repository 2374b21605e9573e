"""What the units of text have in common: borders between words, counting and looking up."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

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


def numbered(types: Sequence[str]) -> dict[str, int]:
    ids = {UNKNOWN: 0} | {kind: number for number, kind in enumerate(types, 1)}
    if len(ids) != 1 + len(types):
        raise ValueError("a word occurs twice")
    return ids


def look_up(ids: Mapping[str, int], words: Sequence[str], dtype: np.dtype) -> np.ndarray:
    return np.fromiter((ids.get(word, 0) for word in words), dtype, len(words))


def check_known(text: str, pattern: re.Pattern[str], ids: Mapping[str, int]) -> None:
    for match in pattern.finditer(text):
        word = match.group()
        if word not in ids:
            near = get_close_matches(word, ids, n=1)
            mend = f"did you mean {near[0]!r}?" if near else "use other words"
            raise BadInput(
                f"prompt: the word {word!r} at position {match.start()} is not among the {len(ids) - 1:,} words that "
                f"the model knows; {mend}"
            )
