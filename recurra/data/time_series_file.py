"""Series in the ``.ts`` files of sktime and aeon: https://www.aeon-toolkit.org/en/stable/api_reference/file_specifications/ts.html."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra.data.case import NO_FIELDS, Case
from recurra.data.lines import read_lines
from recurra.data.series import read_numbers
from recurra.errors import BadInput, unknown


def read_ts(path: Path, encoding: str, *, labelled: bool) -> Iterator[Case]:
    """The series (T, D) of a file, of equal lengths or not, with or without class labels.

    Raises:
        BadInput: the header lacks ``@data`` or announces what is not read (time stamps, targets to regress on); a case
            of other dimensions, of dimensions of unequal lengths, without steps, with missing values, or without one of
            the header's labels.
    """
    lines = read_lines(path, encoding)
    header = _header(lines, path, labelled=labelled)
    for number, line in lines:
        if line.strip() and not line.startswith(("#", "%")):
            yield header.case(line.strip(), f"{path}: line {number}", labelled=labelled)


@dataclass
class _Header:
    """What the lines before ``@data`` say; ``dimensions`` is None until the first case shows it."""

    dimensions: int | None
    has_labels: bool
    classes: frozenset[str]

    def case(self, line: str, place: str, *, labelled: bool) -> Case:
        pieces = line.split(":")
        labels = self._label(pieces.pop().strip(), place, labelled=labelled) if self.has_labels else ()
        self.dimensions = self.dimensions or len(pieces)
        if len(pieces) != self.dimensions:
            last = ", then a label" if self.has_labels else ""
            raise BadInput(
                f"{place}: {len(pieces)} dimensions; {self.dimensions} are to stand here, parted by colons{last}"
            )
        return Case(self._series(pieces, place), labels, place, NO_FIELDS)

    def _label(self, label: str, place: str, *, labelled: bool) -> tuple[str, ...]:
        if label in ("", "?"):
            if labelled:
                raise BadInput(f"{place}: the label is missing; write one after the last colon or remove the case")
            return ()
        if self.classes and label not in self.classes:
            raise BadInput(
                f"{place}: {unknown('class', label[:40], self.classes)}; name it in @classLabel or mend the case"
            )
        return (label,)

    def _series(self, pieces: list[str], place: str) -> np.ndarray:
        found = []
        for dimension, piece in enumerate(pieces, 1):
            where = f"{place}, dimension {dimension}"
            if not piece.strip():
                raise BadInput(f"{where}: an empty series; remove the case")
            found.append(read_numbers(piece.split(","), where))
            if len(found[-1]) != len(found[0]):
                raise BadInput(
                    f"{where} has {len(found[-1])} steps, the first has {len(found[0])}; mend or remove the case"
                )
        return np.stack(found, axis=1)


def _header(lines: Iterator[tuple[int, str]], path: Path, *, labelled: bool) -> _Header:
    keys: dict[str, list[str]] = {}
    for number, line in lines:
        words = line.split()
        if not words or line.startswith(("#", "%")):
            continue
        if not words[0].startswith("@"):
            raise BadInput(f"{path}: line {number}: a case before @data; write @data on a line before the first case")
        if words[0].lower() == "@data":
            break
        keys[words[0].lower()] = words[1:]
    else:
        raise BadInput(f"{path}: no @data line; write one between the header and the cases")

    def says(key: str) -> bool:
        return " ".join(keys.get(key, [])[:1]).lower() == "true"

    if says("@timestamps"):
        raise BadInput(f"{path}: has time stamps, which are not read; write the series as plain values, evenly spaced")
    if says("@targetlabel"):
        raise BadInput(f"{path}: @targetLabel gives numbers to regress on; give a file with @classLabel")
    if labelled and not says("@classlabel"):
        raise BadInput(f"{path}: has no class labels (@classLabel true and the classes); give a file with labels")
    stated = keys.get("@dimensions", keys.get("@dimension", ["1"] if says("@univariate") else []))
    if stated and not (stated[0].isdecimal() and int(stated[0])):
        raise BadInput(f"{path}: @dimensions {stated[0]} is no count; write how many there are")
    return _Header(int(stated[0]) if stated else None, says("@classlabel"), frozenset(keys.get("@classlabel", [])[1:]))
