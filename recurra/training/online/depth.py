"""Several layers as one cell."""

from typing import Any, final

from torch import Tensor, nn

from recurra.recurrence import reference
from recurra.recurrence.state import State


@final
class Depth(nn.Module):
    """Cells one above the other as one cell, whose state is the tuple of theirs: exact learning sees through all.

    Args:
        cells: at least one; the output of each is the input of the next.
        residual: add the input of each to its output, as :class:`recurra.Stack` does.

    Raises:
        ValueError: no cells.
    """

    def __init__(self, *cells: nn.Module, residual: bool = False) -> None:
        super().__init__()
        if not cells:
            raise ValueError("depth needs at least one cell")
        self.cells = nn.ModuleList(cells)
        self.residual = residual

    def initial_state(self, batch_size: int) -> tuple[State, ...]:
        """Those of the cells."""
        return tuple(reference.initial_state(cell, batch_size) for cell in self.cells)

    def forward(self, x: Any, state: tuple[State, ...]) -> tuple[Tensor, tuple[State, ...]]:
        """One step: the last cell's output, and all new states."""
        states = []
        for cell, before in zip(self.cells, state, strict=True):
            output, after = reference.take_step(cell, x, before)
            x = x + output if self.residual else output
            states.append(after)
        return x, tuple(states)
