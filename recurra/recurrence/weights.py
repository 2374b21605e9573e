"""A program's weights, read from the cell's parameters as they are at the moment of a call."""

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from recurra.recurrence.guard import fetch, named_tensors
from recurra.recurrence.lower import Lowered


class Weights:
    """Where a program's weights are.

    Attributes:
        plain: whether all are parameters or buffers as they stand; else some are computed from these.
        all: whether, besides, the cell has no other tensors, and each of them once.
    """

    def __init__(self, cell: nn.Module, lowered: Lowered) -> None:
        self._cell, self._lowered = cell, lowered
        homes = _homes(cell, lowered)
        self.plain = homes is not None
        self._homes = []
        for _, part in groupby(homes or [], lambda home: (id(home[0]), home[1])):
            owners, spaces, names = zip(*part, strict=True)
            self._homes.append((owners[0], spaces[0], _items(names)))
        tensors = [tensor for _, tensor in named_tensors(cell)]
        self.all = len(homes or []) == len(tensors) == len({*map(id, tensors)})

    def read(self) -> list[Tensor]:
        """The weights as they are now.

        Raises:
            KeyError, AttributeError, TypeError: one is gone.
        """
        if not self.plain:
            return self._lowered.weights({name: fetch(self._cell, name) for name in self._lowered.parameters})
        found: list[Tensor] = []
        for owner, space, items in self._homes:
            found += items(owner[space])
        return found


def _items(names: Sequence[str]) -> Callable[[dict[str, Tensor]], Sequence[Tensor]]:
    """From a dictionary to its items of these names."""
    if len(names) == 1:
        return lambda space: [space[names[0]]]
    return itemgetter(*names)


def _homes(cell: nn.Module, lowered: Lowered) -> list[tuple[dict[str, Any], str, str]] | None:
    """For each weight the attributes of its owner, the dictionary in them, and its name there. None where some weight
    is computed."""
    paths = {view: path for path, view in lowered.trace.named.items()}
    values = dict(named_tensors(cell))
    found = []
    for view, shape, picked in lowered.sources:
        path, dtypes = paths.get(view), (lowered.trace.dtype, torch.int8)
        if path is None or picked is not None or values[path].shape != shape or view.dtype not in dtypes:
            return None
        owner_path, _, name = path.rpartition(".")
        owner = vars(cell.get_submodule(owner_path))
        space = next((space for space in ("_parameters", "_buffers") if name in owner[space]), None)
        if space is None:
            return None
        found.append((owner, space, name))
    return found
