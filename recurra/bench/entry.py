"""One entry of the results: which recurrence at which sizes, in which mode, and in which way."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from recurra.bench.shapes import Shape, parse_shape

PRECISIONS = ("float32", "bfloat16")
"""``bfloat16`` is autocast's: parameters and inputs are float32, products are taken of what is rounded."""


class Way(NamedTuple):
    """In which way all shapes may be measured.

    Attributes:
        precision: of :data:`PRECISIONS`.
        layers: one above another, each as wide.
        bidirectional: every layer runs both ways, and the next one gets the outputs of both.
    """

    precision: str = "float32"
    threads: int = 1
    layers: int = 1
    bidirectional: bool = False

    @property
    def stacked(self) -> bool:
        """Whether there is more than one layer of one direction."""
        return self.layers > 1 or self.bidirectional

    def __str__(self) -> str:
        words = [self.precision, f"{self.threads} thread" + "s" * (self.threads > 1)]
        words += [f"{self.layers} layers"] * (self.layers > 1) + ["bidirectional"] * self.bidirectional
        return ", ".join(words)


class Entry(NamedTuple):
    """A cell by its name, sizes, one of their modes, and the way."""

    cell: str
    shape: Shape
    mode: str
    way: Way = Way()

    @property
    def training(self) -> bool:
        """Whether gradients are wanted: for the inputs and for every parameter."""
        return self.mode == "training"

    @property
    def streaming(self) -> bool:
        """Whether a call is one step, from the state that the call before left."""
        return self.mode.startswith("streaming")

    def cells(self, build: Callable[[int, int], nn.Module]) -> nn.ModuleList:
        """A cell for every layer and direction, in the order of torch.nn: the directions of a layer are neighbours."""
        directions = 2 if self.way.bidirectional else 1
        sizes = [self.shape.H] * directions + [self.shape.H * directions] * directions * (self.way.layers - 1)
        return nn.ModuleList(build(size, self.shape.H) for size in sizes)

    def __str__(self) -> str:
        return f"{self.cell} {self.shape} {self.mode}, {self.way}"

    def to_json(self) -> dict[str, Any]:
        return {"cell": self.cell, "shape": str(self.shape), "mode": self.mode, **self.way._asdict()}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Entry":
        """What :meth:`to_json` wrote, whatever else is beside it."""
        way = Way(*(found[name] for name in Way._fields))
        return cls(found["cell"], parse_shape(found["shape"]), found["mode"], way)


def autocast(precision: str) -> torch.autocast:
    """The context in which PyTorch computes in that precision, which changes nothing for float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")
