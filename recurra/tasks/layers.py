"""The recurrent layers that a configuration describes, for tasks whose sequences are read as a whole or one way."""

from typing import Any, Literal

from torch import nn

from recurra.cells import CELLS
from recurra.errors import BadInput, unknown
from recurra.layers import Bidirectional, Recurrent, Stack, starts
from recurra.layers.roles import recurrent_layers
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
    """The cell of a configuration, its weights begun as that says.

    Raises:
        BadInput: there is none of that name, or it cannot begin so.
    """
    if config.cell not in CELLS:
        raise unknown("cell", config.cell, CELLS)
    cell = CELLS[config.cell](input_size, config.hidden_size)
    start_cell(cell, config)
    return cell


def start_cell(cell: nn.Module, config: Settings) -> None:
    """Let a cell's weights begin as a configuration says.

    Raises:
        BadInput: the cell has no such weights, or options contradict each other.
    """
    matrix = {"orthogonal": starts.orthogonal, "identity": starts.identity, "rotations": starts.rotations}
    if config.start == "default" and config.start_scale != 1:
        raise BadInput(f"--start-scale {config.start_scale:g}: the cell's own start has no scale; name another --start")
    if config.chrono is not None and config.forget_bias is not None:
        raise BadInput(f"--chrono {config.chrono} sets the biases of gates too; leave out --forget-bias")
    option = ""
    try:
        if config.start != "default":
            option = f"--start {config.start}"
            matrix[config.start](cell, config.start_scale)
        if config.forget_bias is not None:
            option = f"--forget-bias {config.forget_bias:g}"
            starts.forget_bias(cell, config.forget_bias)
        if config.chrono is not None:
            option = f"--chrono {config.chrono}"
            starts.chrono(cell, config.chrono)
    except BadInput as error:
        raise BadInput(f"{option}: {error}; leave it out, or choose another --cell") from error


def start_uniformly(model: nn.Module, config: Settings, initial_range: float | None) -> None:
    """Let all weights begin uniform within plus and minus a range, where one is given, but those of which the
    configuration says more, and the gains and biases of norms, which undo what scale weights have."""
    if initial_range is None:
        return
    norms = {p for module in model.modules() if isinstance(module, nn.LayerNorm) for p in module.parameters()}
    for parameter in model.parameters():
        if parameter not in norms:
            nn.init.uniform_(parameter, -initial_range, initial_range)
    for layer in recurrent_layers(model):
        start_cell(layer.cell, config)


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
