"""Synonyms out of WordNet's files, in the form in which NLTK's METEOR asks for them.

NLTK's own reader of these files opens no WordNet but the one that NLTK downloads.

Source: wndb(5WN) for the files, morphy(7WN) for the forms of words.
"""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

DEBIAN = "/usr/share/wordnet"

ENDINGS = {
    "noun": "s: ses:s xes:x zes:z ches:ch shes:sh men:man ies:y",
    "verb": "s: ies:y es:e es: ed:e ed: ing:e ing:",
    "adj": "er: est: er:e est:e",
    "adv": "",
}
"""Of inflected forms, and what stands there in the form that WordNet has, by the part of speech."""


class Lemma:
    """A word of a synset."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        """The word, with underscores for blanks."""
        return self._name


class Synset:
    """Words that share a meaning."""

    def __init__(self, names: list[str]) -> None:
        self._lemmas = [Lemma(name) for name in names]

    def lemmas(self) -> list[Lemma]:
        """The words."""
        return self._lemmas


class WordNet:
    """The synsets of words.

    Args:
        folder: has ``index.noun``, ``data.noun``, ``noun.exc`` and those of the other parts of speech.
    """

    def __init__(self, folder: Path) -> None:
        self._parts = [_Part(folder, name) for name in ENDINGS]

    def synsets(self, word: str) -> list[Synset]:
        """Of every meaning of a word, or of what it is a form of."""
        return [synset for part in self._parts for synset in part.synsets(word.lower().replace(" ", "_"))]


class _Part:
    """A part of speech."""

    def __init__(self, folder: Path, name: str) -> None:
        entries = (line.split() for line in (folder / f"index.{name}").read_text().splitlines() if line[:1] != " ")
        # lemma, part of speech, synsets, pointers and their symbols, senses, tagged senses, an offset for each synset
        self._offsets = {entry[0]: [int(offset) for offset in entry[-int(entry[2]) :]] for entry in entries}
        self._data = (folder / f"data.{name}").read_bytes()
        forms = (line.split() for line in (folder / f"{name}.exc").read_text().splitlines())
        self._exceptions = {form: lemmas for form, *lemmas in forms}
        self._endings = [tuple(pair.split(":")) for pair in ENDINGS[name].split()]

    def synsets(self, word: str) -> Iterator[Synset]:
        for form in dict.fromkeys(self._forms(word)):
            yield from (self._synset(offset) for offset in self._offsets.get(form, ()))

    def _forms(self, word: str) -> list[str]:
        if word in self._exceptions:
            return [word, *self._exceptions[word]]
        return [word, *(word.removesuffix(old) + new for old, new in self._endings if word.endswith(old))]

    def _synset(self, offset: int) -> Synset:
        # offset, lexicographer's file, type, number of words (hexadecimal), then a word and its number, and so on
        fields = self._data[offset : self._data.index(b"\n", offset)].decode().split()
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        return Synset([word.split("(")[0] for word in words])  # where an adjective may stand is in brackets behind it


@lru_cache(maxsize=1)
def wordnet() -> WordNet | None:
    """What is in ``$WNSEARCHDIR``, or in Debian's package wordnet-base; None where there are no files."""
    folder = Path(os.environ.get("WNSEARCHDIR") or DEBIAN)
    return WordNet(folder) if (folder / "data.noun").exists() else None
