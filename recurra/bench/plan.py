"""What a run measures, and in which order."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from recurra.bench.contenders import PEERS
from recurra.bench.entry import Entry, Way
from recurra.bench.roofline import Roofline
from recurra.bench.shapes import COARSE, GRID, LOOP_SHAPES, MODES, SHAPES, Shape, memory_bytes
from recurra.cells import CELLS

RECURRENCES = ("lstm", "gru", "elman")
LOOPED = "peephole-lstm"
"""What other libraries only have as a loop in Python."""

LONGEST_SECONDS, LARGEST_BYTES = 1.0, 8e9
"""Entries of the grid whose roofline or memory is above these are left out."""


@dataclass(frozen=True)
class Settings:
    """What is measured, and how often.

    Attributes:
        modes: of ``MODES``; a shape is measured in those of them that it has.
        peers: contenders beside Recurra, whether they are installed or not.
        precisions: of ``PRECISIONS``; everything is measured in each of them.
        threads, layers: the first is for all; each further one is measured with the first of everything else.
        bidirectional: both directions are measured too, with the first of everything else.
        race: a peer that falls behind the fastest is measured three times only.
    """

    shapes: tuple[Shape, ...] = SHAPES
    modes: tuple[str, ...] = MODES
    peers: tuple[str, ...] = PEERS
    precisions: tuple[str, ...] = ("float32",)
    threads: tuple[int, ...] = (1,)
    layers: tuple[int, ...] = (1,)
    bidirectional: bool = False
    pairs: int = 15
    race: bool = False

    @property
    def ways(self) -> list[Way]:
        """The plain ones first; what differs from them differs in one respect alone."""
        plain = Way(threads=self.threads[0], layers=self.layers[0])
        ways = [plain, *(plain._replace(threads=threads) for threads in self.threads[1:])]
        ways += [plain._replace(layers=layers) for layers in self.layers[1:]]
        ways += [plain._replace(bidirectional=True)] * self.bidirectional
        return [way._replace(precision=precision) for way in ways for precision in self.precisions]


def planned(settings: Settings, roofline: Roofline) -> list[Entry]:
    """Every entry; of the grid, those that are short and small enough, a coarse grid of them first, then the shortest.

    A run that is stopped has then seen all of the grid, if not every point of it.
    """
    entries = list(_entries(settings))
    if settings.shapes != GRID:
        return entries
    # without storage: the largest weights of the grid are never made for this
    with torch.device("meta"):
        sizes = {_size(entry): entry for entry in entries}
        cells = {size: entry.cells(CELLS[entry.cell]) for size, entry in sizes.items()}
    seconds = {entry: roofline.seconds(cells[_size(entry)], entry) for entry in entries}
    fitting = [
        entry
        for entry in entries
        if seconds[entry] < LONGEST_SECONDS
        and memory_bytes(cells[_size(entry)], entry.shape, entry.mode) < LARGEST_BYTES
    ]
    return sorted(fitting, key=lambda entry: (entry.shape not in COARSE, seconds[entry]))


def _size(entry: Entry) -> tuple[str, int, Way]:
    return entry.cell, entry.shape.H, entry.way


def _entries(settings: Settings) -> Iterator[Entry]:
    for way in settings.ways:
        for shape in settings.shapes:
            # other libraries' loops are of one layer and in float32
            looped = shape in LOOP_SHAPES and not way.stacked and way.precision == "float32"
            for cell in (*RECURRENCES, *([LOOPED] if looped else [])):
                yield from (Entry(cell, shape, mode, way) for mode in shape.modes if mode in settings.modes)
