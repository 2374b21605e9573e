"""What the training loop asks of whatever updates the weights."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor, optim

from recurra.recurrence.state import State


class Outcome(NamedTuple):
    """What an update found.

    Args:
        losses: of each batch, in the unit that is reported.
        items: how many the batches had.
        state: what the next batch starts from.
    """

    losses: list[float]
    items: int
    state: State | None


class Update(Protocol):
    """A way to update the weights; its ``optimizer`` holds all that a checkpoint needs of it."""

    @property
    def optimizer(self) -> optim.Optimizer: ...

    def make(self, group: Sequence[Any], state: State | None, rate: float) -> Outcome:
        """One update by the batches of a group, the first of which starts from ``state``.

        Raises:
            BadNumber: something is not finite.
        """

    def backward(self, loss: Tensor) -> None:
        """Differentiate, on the way that the update does."""


class BadNumber(Exception):
    """Something in an update is not finite.

    Args:
        what: to be followed by the update's number: "loss of".
        attempts: each computes the scalar loss of a batch again that may have led to it.
    """

    def __init__(self, what: str, *attempts: Callable[[], Tensor]) -> None:
        super().__init__(what)
        self.what, self.attempts = what, attempts
