"""Proteins and genes in FASTA, labelled residue by residue: a header, the residues, and as many letters of labels."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from recurra.errors import BadInput

RESIDUE, LABEL = 0, 1


class Record(NamedTuple):
    """A sequence as it stands in a file.

    Args:
        header: its first line, with ``>``; empty lines before it come first.
        residues: the lines of its sequence.
        cells: each residue and, where there is one, its label.
        source, number: the file, and the line of ``header`` in it, from 1.
    """

    header: str
    residues: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    source: str
    number: int

    def with_column(self, column: int, values: Sequence[str]) -> list[str]:
        """Its lines with the labels ``values``, cut where the residues are."""
        if column != LABEL:
            raise ValueError(f"the labels of FASTA are column {LABEL}, got {column}")
        lines, begin = [], 0
        for line in self.residues:
            lines.append("".join(values[begin : begin + len(line)]))
            begin += len(line)
        return [self.header, *self.residues, *lines]

    def line(self, token: int) -> int:
        """The line of a residue in the file, from 1."""
        line = self.number + 1
        for residues in self.residues:
            if token < len(residues):
                break
            token, line = token - len(residues), line + 1
        return line


def records(lines: Iterable[str], source: str, labels: frozenset[str] | None = None) -> Iterator[Record]:
    """The records of a file.

    As TMHMM, SignalP and NetSurfP have it, the first half of a record's lines are residues and the second half their
    labels, one letter each.

    Args:
        labels: those that a model knows. A record whose second half has other letters too is one without labels then.
            Where nothing is given, every record must have labels.

    Raises:
        BadInput: text before the first header, a record without residues, or labels of another number.
    """
    header, number, body = "", 0, list[str]()
    for place, line in enumerate(lines, 1):
        line = line.strip()
        if line.startswith(">"):
            if header:
                yield _record(header, body, source, number, labels)
            header, number, body = line, place, []
        elif line and not header:
            raise BadInput(f"{source}: line {place}: FASTA begins a record with >, got {line[:20]!r}; mend it")
        elif line:
            body.append(line)
    if header:
        yield _record(header, body, source, number, labels)


def _record(header: str, body: list[str], source: str, number: int, labels: frozenset[str] | None) -> Record:
    place = f"{source}: line {number}"
    if not body:
        raise BadInput(f"{place}: {header[:40]} has no residues; add them or take the record out")
    half = len(body) // 2
    first, second = body[:half], body[half:]
    matching = len(body) % 2 == 0 and len("".join(first)) == len("".join(second))
    if matching and (labels is None or set("".join(second)) <= labels):
        return Record(header, tuple(first), tuple(zip("".join(first), "".join(second), strict=True)), source, number)
    if labels is None:
        raise BadInput(
            f"{place}: {header[:40]} has {len(body)} lines, which are not residues and as many labels below them; "
            "mend it"
        )
    return Record(header, tuple(body), tuple((residue,) for residue in "".join(body)), source, number)
