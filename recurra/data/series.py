"""Series of numbers as they are written in text files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recurra.data.lines import read_lines
from recurra.errors import BadInput

MISSING = ("?", "", "nan", "na")


def read_numbers(cells: Sequence[str], place: str) -> np.ndarray:
    """Cells as float32 (n,).

    Raises:
        BadInput: a value is missing, no number, or none that 32 bits hold; names the first and its position from 1.
    """
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        values = np.array([_number(cell) for cell in cells])
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    if np.isfinite(found).all():
        return found
    position = int(np.argmin(np.isfinite(found)))
    cell = cells[position].strip()
    if cell.lower() in MISSING:
        raise BadInput(f"{place}, value {position + 1} is missing ({cell!r}); fill it or remove the case")
    raise BadInput(
        f"{place}, value {position + 1}: {cell[:40]!r} is no finite number of 32 bits; mend it or remove the case"
    )


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def read_series(path: Path, encoding: str) -> np.ndarray:
    """A file of numbers parted by commas, one step a line, no header: (T, D) float32. Empty lines are passed over.

    Raises:
        BadInput: no steps, a step of more or fewer values than the first, or a value that :func:`read_numbers` refuses.
    """
    steps: list[np.ndarray] = []
    for number, line in read_lines(path, encoding):
        if not line or line.isspace():
            continue
        place = f"{path}: line {number}"
        steps.append(read_numbers(line.split(","), place))
        if len(steps[-1]) != len(steps[0]):
            counts = f"{len(steps[-1])} values where the first step has {len(steps[0])}"
            raise BadInput(f"{place}: {counts}; mend the line")
    if not steps:
        raise BadInput(f"{path}: an empty series; remove the file")
    return np.stack(steps)
