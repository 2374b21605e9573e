"""One labelled sequence as it stands in a file, and which parts of a file make it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from recurra.data.images import Pixels
from recurra.errors import BadInput


class Case(NamedTuple):
    """One labelled sequence.

    Args:
        x: a text, or a series (T, D) float32; of an image the rows (H, W) or pixels (H * W, 1), black 0, white 1.
        labels: none where the file gives none; several only with a separator or a list.
        place: file and line (row, image), for messages.
        fields: all columns of a table's row as text; nothing elsewhere.
    """

    x: str | np.ndarray
    labels: tuple[str, ...]
    place: str
    fields: Mapping[str, str]


class CaseColumns(NamedTuple):
    """What of a file is read, and how.

    Args:
        text, label: columns of a table; ``text`` and ``label`` where not given.
        separator: what parts the labels in one cell; a cell may then also be empty: a case of no class.
        pixels: an image's steps are its rows, its pixels row by row, or these in an order drawn once for all.
        encoding: of text files; a byte-order mark of UTF-8 is dropped.
    """

    text: str | None = None
    label: str | None = None
    separator: str | None = None
    pixels: Pixels = "rows"
    encoding: str = "utf-8"


NO_FIELDS: Mapping[str, str] = {}


def split_labels(cell: str, separator: str | None) -> tuple[str, ...]:
    """The labels of a cell, each once, without blanks around them."""
    if separator is None:
        label = cell.strip()
        return (label,) if label else ()
    return tuple(dict.fromkeys(label for piece in cell.split(separator) if (label := piece.strip())))


def text_case(text: str, labels: tuple[str, ...], place: str, fields: Mapping[str, str], *, needs_label: bool) -> Case:
    """A case of text.

    Raises:
        BadInput: the text is empty, or the label missing where one is needed.
    """
    if not text or text.isspace():
        raise BadInput(f"{place}: the text is empty; write one or remove the case")
    if needs_label and not labels:
        raise BadInput(f"{place}: the label is missing; write one or remove the case")
    return Case(text, labels, place, fields)
