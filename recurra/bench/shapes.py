"""The sizes a benchmark runs at, and what they cost at least: floating-point operations and bytes."""

import re
from itertools import product
from typing import Any, NamedTuple

from torch import nn

from recurra.errors import BadInput

MODES = ("inference", "training", "streaming", "streaming-paused")
"""``streaming`` is one call per step with the state carried on; ``streaming-paused`` has 5 ms between the calls."""

_WRITTEN = re.compile(r"T(\d+)B(\d+)H(\d+)", re.IGNORECASE)


class Shape(NamedTuple):
    """Steps, rows and units; the input has as many features as there are units."""

    T: int
    B: int
    H: int

    def __str__(self) -> str:
        return f"T{self.T}B{self.B}H{self.H}"

    @property
    def modes(self) -> tuple[str, ...]:
        """How it is measured: a single step is streamed, and never trained."""
        if self.T > 1:
            return MODES[:2]
        return MODES[2:] if self.B == 1 else MODES[2:3]


SHAPES = (
    Shape(100, 32, 256),
    Shape(100, 64, 512),
    Shape(35, 20, 200),
    Shape(512, 1, 128),
    Shape(1000, 8, 64),
    Shape(1, 1, 256),
)
GRID = tuple(
    Shape(*sizes)
    for sizes in product((1, 35, 100, 512, 1000, 4000), (1, 8, 20, 32, 64, 128), (64, 128, 200, 256, 512, 1024))
)
COARSE = frozenset(Shape(*sizes) for sizes in product((1, 100, 1000), (1, 32, 128), (64, 256, 1024)))
"""Points all over the grid, by which it can be judged before the others are there."""
LOOP_SHAPES = (Shape(35, 20, 200), Shape(512, 1, 128))
"""Where peers that loop in Python are measured too; elsewhere they would take most of the time."""


def parse_shapes(text: str) -> tuple[Shape, ...]:
    """Shapes written as ``T100B32H256,T35B20H200``, or ``grid``.

    Raises:
        BadInput: a shape written otherwise, or with a size of zero.
    """
    if text == "grid":
        return GRID
    return tuple(parse_shape(word.strip()) for word in text.split(","))


def parse_shape(word: str) -> Shape:
    """One shape, written as ``T100B32H256``.

    Raises:
        BadInput: it is written otherwise, or a size is zero.
    """
    found = _WRITTEN.fullmatch(word)
    if found is None or "0" in found.groups():
        raise BadInput(f"--shapes {word!r}: write steps, batch and width, each at least 1, as T100B32H256; or grid")
    return Shape(*map(int, found.groups()))


def flops(cells: nn.Module, shape: Shape, mode: str) -> int:
    """Operations in the products of one call: 2·B·T for each number of a matrix parameter, thrice that in training.

    Training multiplies each matrix twice more: by the gradient of its output, for its input's and for its own.
    """
    numbers = sum(weight.numel() for weight in cells.parameters() if weight.dim() >= 2)
    return 2 * shape.B * shape.T * numbers * (3 if mode == "training" else 1)


def sequence_bytes(cell: Any, shape: Shape, mode: str, width: int = 4) -> int:
    """Bytes that one call has to move between memory and the processor, whatever else it keeps there.

    Inference reads x and writes the outputs. Training reads x twice (forward, weight gradient), writes its gradient,
    writes the outputs and reads theirs, and writes and reads the gradients that every matrix's own gradient needs. The
    user's sequences are float32, those gradients are kept in ``width`` bytes each.
    """
    if mode != "training":
        return int(4 * shape.B * shape.T * (cell.input_size + cell.output_size))
    rows = sum(weight.shape[0] for name, weight in cell.named_parameters() if name.endswith("W_h"))
    return int(shape.B * shape.T * (4 * (3 * cell.input_size + 2 * cell.output_size) + width * 2 * rows))


def memory_bytes(cells: nn.Module, shape: Shape, mode: str) -> int:
    """About the most memory that a peer was seen to need: the gates and their gradients, twice over."""
    rows = sum(weight.shape[0] for weight in cells.parameters() if weight.dim() >= 2)
    return 4 * shape.B * shape.T * (rows * (4 if mode == "training" else 1) + 4 * shape.H)
