"""Learning while a sequence runs: one step at a time, the gradient with respect to the past carried forward."""

from collections.abc import Callable
from typing import Any, Protocol, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from recurra.errors import BadInput
from recurra.recurrence import reference
from recurra.recurrence.state import State, detach, map_state, tensors
from recurra.training.online.flat import FlatStep

Memory = dict[str, Tensor]
"""What a method knows of how the state came to depend on the parameters; every tensor has the batch first."""


class Method(Protocol):
    """How the derivative of the state with respect to the parameters, J of shape (B, S, P), is kept and moved on."""

    def zeros(self, batch_size: int) -> Memory:
        """J of a state that depends on nothing."""

    def advance(self, memory: Memory, x: Any, s: Float[Tensor, "B S"]) -> Memory:
        """J after a step from the state ``s`` with input ``x``. What is given is left as it was."""

    def gradients(self, memory: Memory, g: Float[Tensor, "B S"]) -> dict[str, Tensor]:
        """g^T J, summed over rows: what a gradient of the state means for each parameter."""


@final
class Learner:
    """A cell in a stream that has no end: memory is constant, and gradients are there after every step.

        learner = rtrl(cell)
        for x, target in stream:
            loss(readout(learner(x)), target).backward()
            optimizer.step(); optimizer.zero_grad()

    The gradient of whatever is computed from an output reaches the cell's parameters by all the steps so far, as the
    method knows them. What produced ``x`` (an embedding, a layer below) gets the gradient of this step alone. Where
    parameters change on the way, what past steps contributed stays as it was then (Williams and Zipser 1989).
    Backward may wait for several steps, each of which then holds a memory of its own.

    Made by :func:`rtrl`, :func:`snap1` and :func:`uoro`.

    Args:
        cell: any that :class:`recurra.Recurrent` takes.
        plan: the method for a step with an input like this one's.
        initial_state: ``batch_size -> state`` in place of the cell's own start.
    """

    def __init__(
        self,
        cell: nn.Module,
        plan: Callable[[FlatStep, Any], Method],
        initial_state: Callable[[int], State] | None = None,
    ) -> None:
        self.cell = cell
        self._step = FlatStep(cell, initial_state)
        self._plan = plan
        self._method: Method | None = None
        self._flat: Tensor | None = None
        self._memory: Memory = {}

    def __call__(self, x: Any) -> Float[Tensor, "B O"]:
        """One step of every row.

        Args:
            x: ``(B, I)``, or what else a step of the cell takes.

        Raises:
            BadInput: the first step shows that the cell cannot be learnt so, or that the method's memory is too large.
            ValueError: another number of rows than before.
        """
        rows = next(tensors(x)).shape[0]
        if self._flat is None or self._method is None:
            self._begin(x, rows)
        method, memory, s = self._method, self._memory, self._flat
        assert method is not None and s is not None
        if len(s) != rows:
            raise ValueError(f"this stream has {len(s)} rows, got {rows}; start(batch_size) begins another")
        parameters = self._step.parameters
        past = _Past.apply(s, lambda g: method.gradients(memory, g), tuple(parameters), *parameters.values())
        output, state = reference.take_step(self.cell, x, self._step.unflatten(past))
        with torch.no_grad():
            self._memory = method.advance(memory, detach(x), s)
        self._flat = self._step.flatten(state).detach()
        return output

    @property
    def state(self) -> State:
        """The state after the last step, cut off from the graph.

        Raises:
            ValueError: no step was made.
        """
        if self._flat is None:
            raise ValueError("no step was made yet; call the learner, or start(batch_size)")
        return self._step.unflatten(self._flat)

    def start(self, batch_size: int) -> None:
        """Begin anew with so many rows, each in its initial state."""
        self._flat = self._step.start(batch_size)
        self._memory = {} if self._method is None else self._method.zeros(batch_size)

    def reset(self, rows: Bool[Tensor, " B"]) -> None:
        """Put rows back to their initial state, which depends on nothing: a boundary inside the stream."""
        if self._flat is None:
            return
        self._flat = torch.where(rows[:, None], self._step.start(len(self._flat)), self._flat)
        self._memory = {
            name: torch.where(rows.view(-1, *[1] * (value.dim() - 1)), 0, value) for name, value in self._memory.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on, beside the weights and torch's random state."""
        return {"state": self._flat, "memory": self._memory}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        like = self._step.start(1)
        self._flat = None if saved["state"] is None else saved["state"].to(like)
        self._memory = {name: value.to(like) for name, value in saved["memory"].items()}

    def _begin(self, x: Any, rows: int) -> None:
        """The method for inputs like this one; begins where nothing was loaded."""
        if self._method is None:
            try:
                self._method = self._plan(self._step, x)
                with torch.no_grad(), torch.random.fork_rng(devices=[]):  # the trial draws no signs of the stream's
                    self._method.advance(
                        self._method.zeros(1), map_state(lambda leaf: leaf[:1].detach(), x), self._step.start(1)
                    )
            except RuntimeError as error:
                raise BadInput(
                    f"{type(self.cell).__name__}: its step cannot be differentiated row by row "
                    f"({' '.join(str(error).split())[:160]}); learn it by truncated backpropagation through time"
                ) from error
        if self._flat is None:
            self.start(rows)
        elif not self._memory:
            self._memory = self._method.zeros(rows)


class _Past(torch.autograd.Function):
    """The state, whose gradient goes to the parameters by way of the past."""

    @staticmethod
    def forward(
        ctx: Any, s: Tensor, pull: Callable[[Tensor], dict[str, Tensor]], names: tuple[str, ...], *parameters: Tensor
    ) -> Tensor:
        ctx.pull, ctx.names = pull, names
        return s.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.pull(g)
        return None, None, None, *(found.get(name) for name in ctx.names)
