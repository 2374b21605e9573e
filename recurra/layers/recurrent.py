"""A cell run over whole sequences, batches of ragged ones included, or one step at a time."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recurra.recurrence import paths, reference, segments
from recurra.recurrence.explain import Explanation, explain
from recurra.recurrence.fused import Begun, Plans
from recurra.recurrence.paths import answer, end, obstacle
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import State, tensors
from recurra.recurrence.stream import Stream, opened, short


class Trajectory(NamedTuple):
    """Everything a sequence left behind: ``states`` nests like a state, each tensor ``(batch, time, ...)``."""

    outputs: Float[Tensor, "B T O"]
    state: State
    states: State


class Recurrent(nn.Module):
    """A sequence layer from one step of a recurrence.

    Any split of a sequence into calls, each given the state of the one before, gives the outputs of a single call.

    Args:
        cell: ``forward(x, state) -> (output, state)`` with ``initial_state(batch_size)``; or a cell of ``torch.nn``; or
            any module whose result nests like its state, whose first tensor is then the output. A cell may also have
            ``inputs(x)``, called once before the loop with the whole ``(B, T, I)`` sequence, which returns the nesting
            of ``(B, T, ...)`` tensors that its steps receive (this is how dropout masks are drawn before the loop).
        initial_state: ``batch_size -> state`` in place of the cell's own start; a module here is learnt with the rest.
        remember: what training keeps of a call for the gradient. "all" is what the gradient needs of every step.
            "segments" is the state between segments, each of which runs a second time when the gradient comes back
            through it: what is kept beside x, the outputs and their gradients grows as sqrt(T), and training takes 1.2
            to 1.5 times as long. Outputs and gradients are the same, to rounding; sequences that would take a few
            MiB are not cut. A step that runs by the reference and changes anything but the state does so twice.

    Raises:
        ValueError: ``remember`` is another word.
    """

    def __init__(
        self,
        cell: nn.Module,
        initial_state: Callable[[int], State] | None = None,
        remember: Literal["all", "segments"] = "all",
    ) -> None:
        super().__init__()
        if remember not in ("all", "segments"):
            raise ValueError(f"remember must be 'all' or 'segments', got {remember!r}")
        self.cell = cell
        self.start = initial_state
        self.remember = remember
        self.plans = Plans()

    def initial_state(self, batch_size: int) -> State:
        """The state of ``batch_size`` rows before their first step."""
        return reference.initial_state(self.cell, batch_size) if self.start is None else self.start(batch_size)

    def forward(
        self,
        x: Float[Tensor, "B T I"],
        state: State | None = None,
        lengths: Int[Tensor, " B"] | None = None,
        reset: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T O"], State]:
        """Outputs of every step, and the state after the last.

        Args:
            x: the inputs, at least one step.
            state: where each row begins; the initial state where it is not given.
            lengths: steps of each row, 0 to T: past its end a row's inputs are never read, its state is frozen and its
                output zero.
            reset: before a step where it holds, the row goes back to the *initial* state (never to ``state``) and no
                gradient flows to its past: episode and document boundaries inside a stream.

        Raises:
            ValueError: ``x`` without steps, or a ``state``, ``lengths`` or ``reset`` of another batch or length.
        """
        (result,) = end([begin(self, x, state, lengths, reset)])
        return result.outputs, result.state

    def trajectory(
        self,
        x: Float[Tensor, "B T I"],
        state: State | None = None,
        lengths: Int[Tensor, " B"] | None = None,
        reset: Bool[Tensor, "B T"] | None = None,
    ) -> Trajectory:
        """As a call, with the state after every step as well."""
        request = self._request(x, state, lengths, reset)._replace(trajectory=True)
        return Trajectory(*self._answer(request))

    def step(self, x: Float[Tensor, "B I"], state: State) -> tuple[Float[Tensor, "B O"], State]:
        """One step of a stream: constant memory, whatever came before."""
        cell: Any = self._modules["cell"]  # sooner than by the module's own way
        found = short(cell, self.plans, x, state)
        if found is None:
            result = answer(self.cell, self.plans, self._request(x.unsqueeze(1), state, None, None))
            found = result.outputs.squeeze(1), result.state
        return found

    def stream(self, batch_size: int, state: State | None = None) -> Stream:
        """A stream with the weights as they are now, frozen, and packed once where it has more than a few rows.

        Args:
            state: where it begins; the initial state where it is not given.

        Raises:
            ValueError: the cell has no compiled loop, or nothing says how many features x has.
        """
        begin = self.initial_state(batch_size) if state is None else state
        example = self._example().expand(batch_size, 1, -1)
        return opened(self.cell, self.plans, self._request(example, begin, None, None), example)

    def explain(self, x: Float[Tensor, "B T I"] | None = None, state: State | None = None) -> Explanation:
        """How calls run, and why not faster: as one compiled loop, and of which stages, or step by step.

        Args:
            x, state: as of a call to explain; the numbers do not matter. Without them it is the last call, or, before
                the first one, a call with ``cell.input_size`` features.

        Raises:
            ValueError: nothing says how many features x has.
        """
        name = type(self.cell).__name__
        if x is None and self.plans.found:
            plan, because = self.plans.found[-1], None
        else:
            request = self._request(self._example() if x is None else x, state, None, None)
            plan = self.plans.find(self.cell, request)
            because = obstacle([*tensors(request.inputs), *tensors(request.state)])
        found = explain(name, plan, because)
        return segments.explained(found) if self.remember == "segments" else found

    def _answer(self, request: Request) -> Result:
        way = segments.answer if self.remember == "segments" else answer
        return way(self.cell, self.plans, request)

    def _example(self) -> Tensor:
        size = getattr(self.cell, "input_size", None)
        if not isinstance(size, int):
            raise ValueError("the cell has no input_size: call the layer once, or give explain an x")
        like = next(self.cell.parameters(), torch.empty(0))
        return like.new_zeros(1, 1, size)

    def _request(self, x: Tensor, state: State | None, lengths: Tensor | None, reset: Tensor | None) -> Request:
        _check(x, state, lengths, reset)
        start = self.initial_state(x.shape[0]) if state is None or reset is not None else None
        inputs = reference.step_inputs(self.cell, x, lengths)
        begin = start if state is None else state
        return Request(inputs, begin, None if reset is None else start, lengths, reset)


def begin(
    layer: Recurrent,
    x: Tensor,
    state: State | None = None,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
) -> Begun | Result:
    """A layer's call up to where its loop runs, for `end`; its result where it goes another way."""
    whole = lengths is None and reset is None and x.dim() == 3 and x.shape[1] > 0
    if whole and not (torch.is_grad_enabled() and layer.remember == "segments"):
        state = layer.initial_state(x.shape[0]) if state is None else state
        found = short(layer.cell, layer.plans, x.transpose(0, 1), state, 0)
        if found is not None:
            return Result(found[0].transpose(0, 1), found[1], None)
    request = layer._request(x, state, lengths, reset)
    way = segments.answer if layer.remember == "segments" else paths.begin
    return way(layer.cell, layer.plans, request)


def _check(x: Tensor, state: State | None, lengths: Tensor | None, reset: Tensor | None) -> None:
    if x.dim() != 3 or x.shape[1] == 0:
        raise ValueError(f"x must be (batch, time, features) with at least one step, got {tuple(x.shape)}")
    batch, steps = x.shape[:2]
    if state is not None:
        for leaf in tensors(state):
            if leaf.dim() == 0 or leaf.shape[0] != batch:
                raise ValueError(f"x has {batch} rows, but a tensor of the state is {tuple(leaf.shape)}")
    if lengths is not None:
        if lengths.shape != (batch,):
            raise ValueError(f"lengths must be ({batch},), got {tuple(lengths.shape)}")
        # a captured graph cannot look at numbers; there, more than all steps are all, and fewer than none are none
        if not torch.compiler.is_compiling() and ((lengths < 0) | (lengths > steps)).any():
            raise ValueError(f"lengths must lie in 0 to {steps}, got {int(lengths.min())} to {int(lengths.max())}")
    if reset is not None and reset.shape != (batch, steps):
        raise ValueError(f"reset must be ({batch}, {steps}), got {tuple(reset.shape)}")
