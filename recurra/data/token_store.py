"""Labelled tokens as numbers on disk, so that memory grows with the number of different words alone."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recurra.data.columns import Labelled
from recurra.data.download import sha256_of
from recurra.data.ragged_file import RaggedFile, write_ragged
from recurra.data.sentences import Layout, read_sentences
from recurra.data.text import TextSource
from recurra.errors import BadInput
from recurra.files import cached, write_text

FORMAT = 1
BLOCK = 10_000
"""Sentences counted at once."""

TENTH = 0.1
"""Of the training part's sentences, its last ones, for each part that is not given."""


@dataclass(frozen=True)
class Part:
    """The sentences ``begin`` up to ``end`` of a store; those without tokens are not in it.

    Args:
        rows: for each sentence ``(T, columns + 1)``: what stands in the columns that are read, as numbers of ``kinds``,
            and the line of each token.
        kinds: every different cell of each column, in the order in which they first come.
        files: the files, each with how many sentences there are up to its end.
    """

    rows: RaggedFile
    kinds: tuple[list[str], ...]
    files: tuple[tuple[str, int], ...]
    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    def __getitem__(self, sentence: int) -> np.ndarray:
        if not 0 <= sentence < len(self):
            raise IndexError(sentence)
        return self.rows[self.begin + sentence]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each sentence."""
        return self.rows.lengths[self.begin : self.end]

    @property
    def label(self) -> int:
        """The number of the column of labels."""
        return len(self.kinds) - 1

    def words(self, sentence: int) -> list[str]:
        """The words of a sentence."""
        return self._names(sentence, 0)

    def tags(self, sentence: int) -> list[str]:
        """The labels of a sentence."""
        return self._names(sentence, self.label)

    def place(self, sentence: int, token: int) -> str:
        """The file and line of a token."""
        file = next(path for path, end in self.files if self.begin + sentence < end)
        return f"{file}: line {self[sentence][token, -1]}"

    def counts(self, column: int) -> np.ndarray:
        """How often each kind of a column comes."""
        found = np.zeros(len(self.kinds[column]), dtype=np.int64)
        for begin in range(0, len(self), BLOCK):
            block = [self[sentence][:, column] for sentence in range(begin, min(begin + BLOCK, len(self)))]
            found += np.bincount(np.concatenate(block), minlength=len(found))
        return found

    def _names(self, sentence: int, column: int) -> list[str]:
        names = self.kinds[column]
        return [names[kind] for kind in self[sentence][:, column].tolist()]


@dataclass(frozen=True)
class Labels:
    """Sentences in their parts, and the sha256 of every file read."""

    train: Part
    dev: Part
    test: Part
    hashes: dict[str, str]


def read_labels(train: Sequence[Path], dev: Path | None, test: Path | None, layout: Layout) -> Labels:
    """The sentences of files; what is not given as ``dev`` or ``test`` is a tenth, cut off the end of ``train``.

    Kept in the cache folder under a key of all that they depend on, so that a second reading only hashes the files.

    Raises:
        BadInput: a file cannot be read, or has too few sentences to be cut.
    """
    hashes: dict[str, str] = {}
    rest = _keep(train, layout, hashes)
    parts = {}
    for name, path in (("test", test), ("dev", dev)):
        if path is None:
            rest, parts[name] = _cut(rest, name)
        else:
            parts[name] = _keep([path], layout, hashes)
    return Labels(rest, parts["dev"], parts["test"], hashes)


def read_part(paths: Sequence[Path], layout: Layout) -> tuple[Part, dict[str, str]]:
    """All sentences of files, and the sha256 of each file.

    Raises:
        BadInput: a file cannot be read, or there is no sentence.
    """
    hashes: dict[str, str] = {}
    return _keep(paths, layout, hashes), hashes


def _cut(part: Part, name: str) -> tuple[Part, Part]:
    size = round(TENTH * len(part))
    if size == 0:
        raise BadInput(f"{len(part)} sentences are too few to cut the {name} part from; give more, or --{name} FILE")
    cut = part.end - size
    return replace(part, end=cut), replace(part, begin=cut)


def _keep(paths: Sequence[Path], layout: Layout, hashes: dict[str, str]) -> Part:
    files = TextSource(paths).files
    own = {str(path): sha256_of(path) for path in files}
    hashes.update(own)
    key = hashlib.sha256(json.dumps([FORMAT, layout.to_json(), list(own.items())]).encode()).hexdigest()
    folder = cached("sentences", key)
    with suppress(BadInput, OSError, ValueError, KeyError):  # none yet, or a damaged one
        return _load(folder)
    numbering = Numbering(layout.read)
    rows = numbering.rows(read_sentences(paths, layout))
    write_ragged(folder / "rows.bin", rows, np.dtype(np.int32), len(layout.read) + 1)
    write_text(folder / "kinds.json", json.dumps({"kinds": numbering.kinds, "files": numbering.files}))
    part = _load(folder)
    if not len(part):
        raise BadInput(f"{paths[0]}: has no tokens; give sentences in columns, one token a line")
    return part


def _load(folder: Path) -> Part:
    record = json.loads((folder / "kinds.json").read_text(encoding="utf-8"))
    rows = RaggedFile(folder / "rows.bin")
    return Part(rows, tuple(record["kinds"]), tuple(map(tuple, record["files"])), 0, len(rows))


class Numbering:
    """Numbers for what stands in columns, given as it comes.

    Args:
        columns: those that are read.
    """

    def __init__(self, columns: Sequence[int]) -> None:
        self._columns = columns
        self._numbers: list[dict[str, int]] = [{} for _ in columns]
        self._files: dict[str, int] = {}

    @property
    def kinds(self) -> list[list[str]]:
        """What has stood in each column so far."""
        return [list(numbers) for numbers in self._numbers]

    @property
    def files(self) -> list[tuple[str, int]]:
        """The files so far, each with how many sentences with tokens there were up to its end."""
        return list(self._files.items())

    def rows(self, sentences: Iterable[Labelled]) -> Iterator[np.ndarray]:
        """The rows of a store; sentences without tokens are left out."""
        count = 0
        for sentence in sentences:
            if sentence.cells:
                count += 1
                self._files[sentence.source] = count
                yield self._row(sentence)

    def _row(self, sentence: Labelled) -> np.ndarray:
        row = np.empty((len(sentence.cells), len(self._columns) + 1), dtype=np.int32)
        for place, column in enumerate(self._columns):
            numbers = self._numbers[place]
            row[:, place] = [numbers.setdefault(cells[column], len(numbers)) for cells in sentence.cells]
        row[:, -1] = [sentence.line(token) for token in range(len(sentence.cells))]
        return row
