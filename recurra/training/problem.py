"""What the training loop needs to know of what it trains."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from recurra.metrics.score import Score
from recurra.recurrence.state import State


class Loss(NamedTuple):
    """What one batch costs.

    Args:
        value: the scalar that is differentiated.
        mean: the same in the unit that is reported (nats per token, say).
        items: how many the batch has, in the unit of the reported speed.
        state: what the next batch starts from; None where batches are independent.
    """

    value: Tensor
    mean: Tensor
    items: int
    state: State | None


class Form(NamedTuple):
    """A batch in Gauss–Newton form: a loss that is convex in a model's outputs, and both apart.

    Args:
        outputs: a tensor or any nesting of them.
        loss: from such outputs to the scalar that is differentiated; twice where it must be.
        per_item: what that is to be multiplied by for the reported unit.
        items, state: as of :class:`Loss`.
    """

    outputs: State
    loss: Callable[[State], Tensor]
    per_item: float
    items: int
    state: State | None


class Batches(Protocol):
    """The batches of one epoch, by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True)
class Problem:
    """What is to be trained.

    Args:
        model: has ``initial_state(batch_size)`` where its loss carries a state.
        loss: of a batch, from the state that the batch before left (None at the start of an epoch).
        batches: of an epoch by its number; the same for the same number.
        validate: the score that chooses the best weights; ``model`` is in evaluation mode and without gradients.
        form: of a batch, as ``loss``, for updates with curvature; None where the loss has no such form.
        solved: whether the last validation found nothing left to learn. Weights of which that holds are better than any
            others, and when it was first so is in the records of the run.
        ends_solved: whether training ends then.
    """

    model: nn.Module
    loss: Callable[[nn.Module, Any, State | None], Loss]
    batches: Callable[[int], Batches]
    validate: Callable[[nn.Module], Score]
    form: Callable[[nn.Module, Any, State | None], Form] | None = None
    solved: Callable[[], bool] = lambda: False
    ends_solved: bool = False
