"""Cases one a line: a label, blanks, a text, as the question and sentiment sets of the field come."""

from collections.abc import Iterator
from pathlib import Path

from recurra.data.case import NO_FIELDS, Case, CaseColumns, split_labels, text_case
from recurra.data.lines import read_lines


def read_line_cases(path: Path, columns: CaseColumns, *, labelled: bool) -> Iterator[Case]:
    """The first word of a line is its label, the rest its text; all of it is text where no labels are given.

    Raises:
        BadInput: a line without a text, or what :func:`recurra.data.lines.read_lines` refuses.
    """
    for number, line in read_lines(path, columns.encoding):
        label, text = (*line.split(maxsplit=1), "", "")[:2] if labelled else ("", line)
        labels = split_labels(label, columns.separator)
        yield text_case(text, labels, f"{path}: line {number}", NO_FIELDS, needs_label=labelled)
