"""A start that is learnt with the weights."""

from torch import nn

from recurra.recurrence import reference
from recurra.recurrence.state import State, map_state, tensors


class LearntState(nn.Module):
    """An initial state whose values are parameters: ``Recurrent(cell, initial_state=LearntState(cell))``.

    They begin as the cell's own start and are the same for every row; ``reset`` goes back to them, and the gradient of
    every sequence and every reset reaches them.

    Raises:
        TypeError: the cell does not say how it starts.
    """

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self._own = map_state(lambda leaf: leaf.detach().clone(), reference.initial_state(cell, 1))
        self.values = nn.ParameterList(map(nn.Parameter, tensors(self._own)))

    def forward(self, batch_size: int) -> State:
        """The state of ``batch_size`` rows: views of the parameters."""
        values = iter(self.values)
        return map_state(lambda own: next(values).expand(batch_size, *own.shape[1:]), self._own)
