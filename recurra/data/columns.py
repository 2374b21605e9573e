"""Sentences in columns, one token a line: CoNLL-U, and the plain columns of the CoNLL shared tasks."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from recurra.errors import BadInput

CONLLU = "id form lemma upos xpos feats head deprel deps misc".split()
"""The columns of CoNLL-U, https://universaldependencies.org/format.html."""

ID = re.compile(r"(\d+)(?:([-.])(\d+))?")
CELL = re.compile(r"[^ \t]+")
"""A cell of columns that blanks part; a blank of another kind (no-break, ideographic) is a part of its cell."""

DOCUMENT = "-DOCSTART-"
"""What CoNLL-2003 begins a document with: a line of columns that is no token."""


class Labelled(Protocol):
    """Tokens that stand in a file, each with some cells: a sentence in columns, a record of FASTA."""

    @property
    def source(self) -> str:
        """The file."""

    @property
    def cells(self) -> Sequence[Sequence[str]]:
        """The columns of each token."""

    def line(self, token: int) -> int:
        """The line of a token in the file, from 1."""

    def with_column(self, column: int, values: Sequence[str]) -> list[str]:
        """All of its lines, with other values in one column, which may be the first one missing."""


class Sentence(NamedTuple):
    """A sentence as it stands in a file.

    Args:
        lines: all of its lines without their ends: comments, what is no token, and empty ones before and after it.
        tokens: which of them are tokens; none, where there are only others.
        cells: the columns of each token.
        source, number: the file, and the line in it of the first of ``lines``, from 1.
    """

    lines: tuple[str, ...]
    tokens: tuple[int, ...]
    cells: tuple[tuple[str, ...], ...]
    source: str
    number: int

    def with_column(self, column: int, values: Sequence[str]) -> list[str]:
        """The lines with other values in one column, between the same blanks as before."""
        found = list(self.lines)
        for token, cells, value in zip(self.tokens, self.cells, values, strict=True):
            line = found[token].rstrip("\r")
            tabs = tuple(line.split("\t")) == cells
            spans = _between_tabs(line) if tabs else [cell.span() for cell in CELL.finditer(line)]
            if column == len(spans):
                end = spans[-1][1]
                written = line[:end] + ("\t" if tabs or column == 1 else " ") + value + line[end:]
            else:
                begin, end = spans[column]
                written = line[:begin] + value + line[end:]
            found[token] = written + found[token][len(line) :]
        return found

    def line(self, token: int) -> int:
        """The line of a token in the file, from 1."""
        return self.number + self.tokens[token]


def _between_tabs(line: str) -> list[tuple[int, int]]:
    ends = [place for place, letter in enumerate(line) if letter == "\t"]
    return list(zip([0, *(end + 1 for end in ends)], [*ends, len(line)], strict=True))


class Format(Protocol):
    """How the lines of a file are to be read."""

    def tokens(self, lines: Sequence[str], source: str, number: int) -> tuple[list[int], list[tuple[str, ...]]]:
        """Which lines are tokens, and their cells; ``number`` is that of the first line.

        Raises:
            BadInput: a line is not as the format has it.
        """


def sentences(lines: Iterable[str], form: Format, source: str) -> Iterator[Sentence]:
    """The sentences of a file's lines, parted by empty ones; each as soon as the line that ends it is read.

    Raises:
        BadInput: a line is not as the format has it.
    """
    block: list[str] = []
    number = full = 0
    for number, line in enumerate(lines, 1):
        block.append(line)
        if line.strip():
            full += 1
        elif full:
            yield _sentence(block, form, source, number + 1 - len(block))
            block, full = [], 0
    if block:
        yield _sentence(block, form, source, number + 1 - len(block))


def _sentence(lines: list[str], form: Format, source: str, number: int) -> Sentence:
    tokens, cells = form.tokens([line.rstrip("\r") for line in lines], source, number)
    return Sentence(tuple(lines), tuple(tokens), tuple(cells), source, number)


class Conllu:
    """Ten columns parted by tabs; words are numbered from 1 in each sentence. Ranges and empty nodes are no tokens."""

    def tokens(self, lines: Sequence[str], source: str, number: int) -> tuple[list[int], list[tuple[str, ...]]]:
        tokens: list[int] = []
        cells = []
        for index, line in enumerate(lines):
            if line.startswith("#") or not line.strip():
                continue
            place, columns = f"{source}: line {number + index}", tuple(line.split("\t"))
            if len(columns) != len(CONLLU):
                raise BadInput(
                    f"{place} has {len(columns)} columns, CoNLL-U has {len(CONLLU)} parted by tabs; "
                    "mend it, or call the file .txt to have it read as plain columns"
                )
            if _is_word(columns[0], len(tokens) + 1, place):
                tokens.append(index)
                cells.append(columns)
        return tokens, cells


def _is_word(text: str, due: int, place: str) -> bool:
    """Whether an id is that of a word, which must be the next one; else it is a range or an empty node."""
    match = ID.fullmatch(text)
    if match is None:
        raise BadInput(f"{place}: {text!r} is no id of CoNLL-U (1, 1-2 or 1.1); mend it")
    first, kind, last = match.groups()
    if kind is None and int(first) != due:
        raise BadInput(f"{place}: the id is {first} where {due} was to come; number a sentence's words from 1 on")
    if kind == "-" and not int(first) == due < int(last) + 1:
        raise BadInput(f"{place}: the words {text} do not begin with the next one, {due}; mend the range")
    return kind is None


class Plain:
    """Any number of columns, the same in all of a file, parted by tabs, or by blanks where the first line has no tab.

    Args:
        width: columns that a line has to have; else as many as the first one.
    """

    def __init__(self, width: int | None = None) -> None:
        self._width = width
        self._tabs: bool | None = None

    def tokens(self, lines: Sequence[str], source: str, number: int) -> tuple[list[int], list[tuple[str, ...]]]:
        tokens, cells = [], []
        for index, line in enumerate(lines):
            if line.startswith(DOCUMENT) or not line.strip():
                continue
            if self._tabs is None:
                self._tabs = "\t" in line
            columns = tuple(line.split("\t") if self._tabs else CELL.findall(line))
            self._width = self._width or len(columns)
            if len(columns) != self._width:
                raise BadInput(
                    f"{source}: line {number + index} has {len(columns)} columns where the lines before have "
                    f"{self._width}; mend it (an empty line parts sentences)"
                )
            tokens.append(index)
            cells.append(columns)
        return tokens, cells
