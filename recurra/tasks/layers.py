"""The recurrent layers that a configuration describes, for tasks whose sequences are read as a whole or one way."""

from typing import Any, Literal

from torch import nn

from recurra.cells import CELLS
from recurra.errors import unknown
from recurra.layers import Bidirectional, Recurrent, Stack
from recurra.training.settings import Settings

Direction = Literal["both", "forward"]


def make_cells(config: Settings, input_size: int) -> list[Any]:
    """One cell for each layer, which reads the outputs of the one before.

    Raises:
        BadInput: there is no cell of that name.
    """
    cells: list[Any] = []
    for _ in range(config.layers):
        cells.append(make_cell(config, input_size))
        input_size = cells[-1].output_size
    return cells


def make_cell(config: Settings, input_size: int) -> Any:
    """The cell of a configuration.

    Raises:
        BadInput: there is none of that name.
    """
    if config.cell not in CELLS:
        raise unknown("cell", config.cell, CELLS)
    return CELLS[config.cell](input_size, config.hidden_size)


def make_layers(config: Settings, input_size: int, direction: Direction, dropout: nn.Module) -> tuple[Stack, int]:
    """Layers one above the other, and the features of their outputs; ``dropout`` comes between two layers.

    Raises:
        BadInput: there is no cell of that name.
    """
    layers: list[nn.Module] = []
    for _ in range(config.layers):
        ahead = make_cell(config, input_size)
        input_size = ahead.output_size
        if direction == "both":
            layers.append(Bidirectional(Recurrent(ahead), Recurrent(make_cell(config, ahead.input_size))))
            input_size *= 2
        else:
            layers.append(Recurrent(ahead))
    return Stack(*layers, dropout=dropout), input_size
