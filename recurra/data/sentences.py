"""Files of labelled tokens, whatever their format: which one it is, which of its columns are read, and reading it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from recurra.data.columns import CONLLU, Conllu, Labelled, Plain, sentences
from recurra.data.fasta import LABEL, RESIDUE, records
from recurra.data.text import TextSource
from recurra.errors import BadInput, unknown

Kind = Literal["conllu", "fasta", "columns"]

ENDINGS: dict[str, Kind] = {
    ".conllu": "conllu", ".conllup": "conllu",
    ".fasta": "fasta", ".fa": "fasta", ".faa": "fasta", ".fna": "fasta", ".3line": "fasta",
}  # fmt: skip
"""Of file names, before a ``.gz``; everything else is plain columns."""


@dataclass(frozen=True)
class Layout:
    """What is read of a file.

    Args:
        kind: its format.
        word, label: columns, from 0.
        inputs: further columns that a model may read.
        width: how many columns plain ones have; the least there must be.
    """

    kind: Kind
    word: int
    label: int
    inputs: tuple[int, ...]
    width: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Layout":
        return cls(**{**record, "inputs": tuple(record["inputs"])})

    @property
    def name(self) -> str:
        """Of the column of labels, as a user says it."""
        return {"conllu": CONLLU[min(self.label, 9)], "fasta": "label"}.get(self.kind, f"column {self.label + 1}")

    @property
    def read(self) -> tuple[int, ...]:
        """All columns that are read: the words, the inputs, the labels last."""
        return (self.word, *self.inputs, self.label)


def find_layout(path: Path, word: str | None, label: str | None, inputs: str | None) -> Layout:
    """The layout of a file, from what a user says of its columns: names (CoNLL-U) or numbers from 1.

    Args:
        inputs: several, with commas between them.

    Raises:
        BadInput: there is no such column, or the file cannot be read.
    """
    kind = kind_of(path)
    if kind == "fasta":
        if word or label or inputs:
            raise BadInput(f"{path}: FASTA has no columns; leave out --word, --label and --inputs")
        return Layout(kind, RESIDUE, LABEL, (), 2)
    first = next((sentence for sentence in _open(path, kind) if sentence.cells), None)
    if first is None:
        raise BadInput(f"{path}: has no tokens; give sentences in columns, one token a line")
    width = len(first.cells[0])
    names = CONLLU if kind == "conllu" else []
    further = tuple(_column(path, text.strip(), names, width) for text in inputs.split(",")) if inputs else ()
    usual = ("form", "upos") if kind == "conllu" else ("1", str(width))
    layout = Layout(
        kind,
        _column(path, word or usual[0], names, width),
        _column(path, label or usual[1], names, width),
        further,
        width,
    )
    if len(set(layout.read)) != len(layout.read):
        raise BadInput(
            f"{path}: has {width} columns, and of these the words, --inputs and the labels must be different ones; "
            "name others with --word, --label and --inputs"
        )
    return layout


def _column(path: Path, text: str, names: Sequence[str], width: int) -> int:
    if text.isdigit() and 1 <= int(text) <= width:
        return int(text) - 1
    if names and not text.isdigit():
        if text not in names:
            raise unknown("column", text, names)
        return names.index(text)
    raise BadInput(f"{path}: has no column {text!r}; its columns are {', '.join(names) or f'the numbers 1 to {width}'}")


def kind_of(path: Path) -> Kind:
    """The format that a file's name stands for."""
    ending = Path(path.name.removesuffix(".gz")).suffix
    return ENDINGS.get(ending, "columns")


def read_sentences(
    paths: Sequence[Path], layout: Layout, *, labels: frozenset[str] | None = None
) -> Iterator[Labelled]:
    """What stands in files or folders, gzip or not, sentence by sentence; some have no tokens (only comments, say).

    Args:
        labels: those that a model knows, where the files need not have any.

    Raises:
        BadInput: a file that :class:`TextSource` refuses, is of another format, lacks a column, or has a broken line.
    """
    for path in TextSource(paths).files:
        if kind_of(path) != layout.kind:
            mend = f"it was expected to be {layout.kind}, as the training part is; name it so, or convert it"
            raise BadInput(f"{path}: by its name this is {kind_of(path)}; {mend}")
        for sentence in _open(path, layout.kind, labels):
            check_columns(sentence, layout, labelled=labels is None)
            yield sentence


def check_columns(sentence: Labelled, layout: Layout, *, labelled: bool) -> None:
    """Raise BadInput where a sentence lacks a column that is read."""
    if not sentence.cells:
        return
    width, place = len(sentence.cells[0]), f"{sentence.source}: line {sentence.line(0)}"
    columns = layout.read if labelled else layout.read[:-1]
    missing = [column for column in columns if column >= width]
    if missing:
        raise BadInput(
            f"{place}: has {width} columns and no column {missing[0] + 1}, which is read; add it, or train "
            "with other columns"
        )
    if not labelled and layout.label > width:
        raise BadInput(
            f"{place}: has {width} columns; for the labels to become column {layout.label + 1} there must be "
            f"{layout.label}"
        )


def read_lines(lines: Iterable[str], layout: Layout, source: str, labels: frozenset[str]) -> Iterator[Labelled]:
    """The same of lines that come from elsewhere, as they come; see :func:`read_sentences`."""
    for sentence in _parse(lines, layout.kind, source, labels):
        check_columns(sentence, layout, labelled=False)
        yield sentence


def _open(path: Path, kind: Kind, labels: frozenset[str] | None = None) -> Iterator[Labelled]:
    return _parse(TextSource([path]).lines(), kind, str(path), labels)


def _parse(lines: Iterable[str], kind: Kind, source: str, labels: frozenset[str] | None) -> Iterator[Labelled]:
    match kind:
        case "conllu":
            yield from sentences(lines, Conllu(), source)
        case "fasta":
            yield from records(lines, source, labels)
        case "columns":
            yield from sentences(lines, Plain(), source)
