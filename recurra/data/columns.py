"""Sentences in columns, one token a line: CoNLL-U, and the plain columns of the CoNLL shared tasks."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from recurra.data.text import TextSource
from recurra.errors import BadInput

CONLLU = "id form lemma upos xpos feats head deprel deps misc".split()
"""The columns of CoNLL-U, https://universaldependencies.org/format.html."""

ID = re.compile(r"(\d+)(?:([-.])(\d+))?")
DOCUMENT = "-DOCSTART-"
"""What CoNLL-2003 begins a document with: a line of columns that is no token."""


class Sentence(NamedTuple):
    """A sentence as it stands in a file.

    Args:
        lines: all of its lines, comments and what is no token included, without their ends.
        tokens: which of them are tokens.
        cells: the columns of each token.
        path, number: the file, and the line in it of the first of ``lines``, from 1.
    """

    lines: tuple[str, ...]
    tokens: tuple[int, ...]
    cells: tuple[tuple[str, ...], ...]
    path: Path
    number: int

    def with_column(self, column: int, values: Sequence[str]) -> list[str]:
        """The lines with other values in one column, between the same blanks as before."""
        found = list(self.lines)
        for token, value in zip(self.tokens, values, strict=True):
            # cells at even places, what parts them at odd ones
            pieces = re.split(r"(\t)" if "\t" in found[token] else r"([ \t]+)", found[token])
            pieces[2 * column] = value
            found[token] = "".join(pieces)
        return found

    def place(self, token: int) -> str:
        """The file and line of a token."""
        return f"{self.path}: line {self.number + self.tokens[token]}"


Reader = Callable[[list[str], Path, int], Sentence | None]


def read_sentences(paths: Sequence[Path]) -> Iterator[Sentence]:
    """The sentences of files or folders, gzip or not: CoNLL-U where a name ends in ``.conllu`` (``.gz``), else columns parted
    by tabs, or by blanks where the first line has no tab. Empty lines part sentences.

    Raises:
        BadInput: a file that :class:`TextSource` refuses, or a line that is not as its format has it.
    """
    for path in TextSource(paths).files:
        name = path.name.removesuffix(".gz")
        yield from _sentences(path, _conllu if name.endswith((".conllu", ".conllup")) else _Plain())


def _sentences(path: Path, reader: Reader) -> Iterator[Sentence]:
    lines: list[str] = []
    number = 0
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            lines.append(line)
        elif lines:
            if (found := reader(lines, path, number - len(lines))) is not None:
                yield found
            lines = []
    if lines and (found := reader(lines, path, number + 1 - len(lines))) is not None:
        yield found


def _lines(path: Path) -> Iterator[str]:
    rest = ""
    for chunk in TextSource([path]).chunks():
        *whole, rest = (rest + chunk).split("\n")
        yield from (line.removesuffix("\r") for line in whole)
    if rest:
        yield rest.removesuffix("\r")


def _conllu(lines: list[str], path: Path, number: int) -> Sentence | None:
    tokens, cells = [], []
    for index, line in enumerate(lines):
        if line.startswith("#"):
            continue
        place, columns = f"{path}: line {number + index}", tuple(line.split("\t"))
        if len(columns) != len(CONLLU):
            raise BadInput(
                f"{place} has {len(columns)} columns, CoNLL-U has {len(CONLLU)} parted by tabs; "
                "mend it, or call the file .txt to have it read as plain columns"
            )
        match = ID.fullmatch(columns[0])
        if match is None:
            raise BadInput(f"{place}: {columns[0]!r} is no id of CoNLL-U (1, 1-2 or 1.1); mend it")
        first, kind, last = match.groups()
        if kind is None and int(first) != len(tokens) + 1:
            raise BadInput(f"{place}: the id is {first} where {len(tokens) + 1} was to come; number the words of a sentence from 1 on")
        if kind == "-" and not int(first) == len(tokens) + 1 < int(last) + 1:
            raise BadInput(f"{place}: the words {columns[0]} do not begin with the next one, {len(tokens) + 1}; mend the range")
        if kind is None:
            tokens.append(index)
            cells.append(columns)
    return Sentence(tuple(lines), tuple(tokens), tuple(cells), path, number) if tokens else None


class _Plain:
    """Columns of any number, the same in all lines of a file."""

    def __init__(self) -> None:
        self._columns: int | None = None
        self._tabs = False

    def __call__(self, lines: list[str], path: Path, number: int) -> Sentence | None:
        tokens, cells = [], []
        for index, line in enumerate(lines):
            if line.startswith(DOCUMENT):
                continue
            if self._columns is None:
                self._tabs = "\t" in line
            columns = tuple(line.split("\t") if self._tabs else line.split())
            self._columns = self._columns or len(columns)
            if len(columns) != self._columns:
                raise BadInput(
                    f"{path}: line {number + index} has {len(columns)} columns where the lines before have {self._columns}; "
                    "mend it (an empty line parts sentences)"
                )
            tokens.append(index)
            cells.append(columns)
        return Sentence(tuple(lines), tuple(tokens), tuple(cells), path, number) if tokens else None
