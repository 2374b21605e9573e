"""Streams: single steps without gradients, where every microsecond around the arithmetic counts."""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from recurra.recurrence.batched import Arguments
from recurra.recurrence.cpu.execute import call, compile_program, memory_for
from recurra.recurrence.cpu.handover import Handover, handover
from recurra.recurrence.cpu.machine import DTYPES
from recurra.recurrence.cpu.single import Single
from recurra.recurrence.fused import Plan, Plans, checked, features, joined, nested, recipe
from recurra.recurrence.lower import Lowered
from recurra.recurrence.operator import plainly
from recurra.recurrence.paths import mode, obstacle
from recurra.recurrence.request import Request
from recurra.recurrence.state import State, map_state, tensors

FEW = 4
"""Rows up to which weights are read where they lie; packing them first pays for more."""


class Stepper:
    """The single steps of one plan.

    A step like the one before is told by its tensors, which `cpu/handover.py` looks at; that nothing else of the cell
    has changed is made sure of every time.
    """

    def __init__(self, plan: Plan, handover: Handover) -> None:
        lowered, weights = plan.lowered, plan.weights
        assert lowered is not None and weights is not None
        self.plan, self.cell = plan, plan.cell
        self._lowered, self._read = lowered, weights.read
        guard = lowered.trace.guard
        self._holds = guard.attributes_hold if weights.all else guard.holds
        self._single = Single(lowered.program, lowered.trace.dtype, handover)
        self._whole = _are_whole(lowered) and len(lowered.program.outputs) == 1
        self._kind = type(lowered.trace.structure)
        self._nested = _nesting(lowered.trace.structure)
        self._how = recipe(lowered, lowered.program)

    def again(self, x: Tensor, state: State, time: int | None = None) -> tuple[Tensor, State] | None:
        """The step, where it is like the one before, and the cell as it was then.

        Args:
            time: the dimension of time that x has, of length one; the state then has such a one at the front.
        """
        if type(state) is not self._kind or not self._whole or not self._holds():
            return None
        given = [x, state] if self._kind is Tensor else [x, *state]
        new = self._single.again(given, self._read(), time)
        return None if new is None else (new.pop(), self._nested(new))

    def first(self, x: Any, state: State, time: int | None = None) -> tuple[Tensor, State] | None:
        """A step that the plan has been found to stand for; None where a tensor is not one of torch's own."""
        dtype, rows = self._lowered.trace.dtype, next(tensors(state)).shape[0 if time is None else 1]
        if self._whole:
            new = self._single.first([*tensors(x), *tensors(state)], self._read(), rows, time)
            return None if new is None else (new.pop(), self._nested(new))
        if time is not None:
            return None
        given = features(x, 1, self._how.sequences, dtype) + features(state, 1, self._how.states, dtype)
        new = self._single.first(given, self._read(), rows)
        if new is None:
            return None
        count = len(self._how.states)
        output = joined(new[count:], self._how.output_shape)
        return output, nested(self._how, new[:count], self._lowered.trace.structure)


def step(
    cell: nn.Module, plans: Plans, x: Tensor, state: State, time: int | None = None
) -> tuple[Tensor, State] | None:
    """A single step; None where it has to go by `paths.answer`: with gradients, for more than a few rows, for a cell
    that prepares its inputs, or the first time.

    Args:
        time: the dimension of time that x has, of length one; the state's tensors then have such a one at the front.
    """
    if not _may_step():
        return None
    found = _again(cell, plans, x, state, time)
    return _first_step(cell, plans, x, state, time) if found is None else found


def step_again(cell: nn.Module, plans: Plans, x: Any, state: Any, time: int | None) -> tuple[Tensor, State] | None:
    """The same, but None also for a step that is not like the one before; x and state may be anything."""
    return _again(cell, plans, x, state, time) if _may_step() else None


def _may_step() -> bool:
    return not torch.is_grad_enabled() and not torch.compiler.is_compiling() and mode() is None


def _again(cell: nn.Module, plans: Plans, x: Any, state: Any, time: int | None) -> tuple[Tensor, State] | None:
    stepper = plans.stepper
    return None if stepper is None or stepper.cell is not cell else stepper.again(x, state, time)


def _first_step(
    cell: nn.Module, plans: Plans, x: Tensor, state: State, time: int | None
) -> tuple[Tensor, State] | None:
    flat, states = x, state
    if time is not None:
        flat, states = x.select(time, 0), map_state(lambda leaf: leaf.select(0, 0), state)
    leaves = [flat, *tensors(states)]
    if hasattr(cell, "inputs") or obstacle(leaves) or any(leaf.shape[0] != flat.shape[0] for leaf in leaves):
        return None
    plan = plans.known(cell, flat, states, 1) if flat.shape[0] <= FEW else None
    if plan is None or plan.lowered is None or plan.fault:
        return None
    if (plan.lowered.program.text, False, False) not in plan.checked:
        return None
    if plans.stepper is None or plans.stepper.plan is not plan:
        found = handover()
        if found is None:
            return None
        plans.stepper = Stepper(plan, found)
    return plans.stepper.first(x, state, time)


def opened(cell: nn.Module, plans: Plans, request: Request, x: Tensor) -> "Stream":
    """A stream of calls such as ``request``, which begins with its state; its steps receive inputs such as ``x``.

    Raises:
        ValueError: the cell has no compiled loop.
    """
    because = obstacle([*tensors(request.inputs), *tensors(request.state)])
    with torch.no_grad(), plainly():
        plan = plans.find(cell, request)
        if because is None and checked(plan, cell, request) is None:
            because = str(plan.fault)
    if because is None and plans.known(cell, x, request.state, 2) is not plan:
        because = "the cell prepares what its steps receive"
    if because is not None:
        raise ValueError(f"a stream needs a compiled loop: {because}")
    return Stream(plan, request.state)


class Stream:
    """A stream of ``batch_size`` rows with frozen weights: packed once, they serve every step.

    What is done to the layer's weights afterwards is not seen here. Gradients do not flow.

    Attributes:
        state: what the next step begins with; may be replaced by another of the same shapes.
    """

    def __init__(self, plan: Plan, state: State) -> None:
        lowered, weights = plan.lowered, plan.weights
        assert lowered is not None and weights is not None
        self.state = state
        self._lowered, self._how = lowered, recipe(lowered, lowered.program)
        self._weights = [weight.detach().clone() for weight in weights.read()]
        program, dtype = lowered.program, lowered.trace.dtype
        kept = frozenset(index for index, node in enumerate(program.next) if node in program.outputs)
        self._compiled = compile_program(program, kept, frozenset(), DTYPES[dtype], single=True)
        self._batch = next(tensors(state)).shape[0]
        self._memory = memory_for(self._compiled, self._batch, torch.empty(0, dtype=dtype))
        self._packed = False

    @torch.no_grad()
    def step(self, x: Tensor) -> Tensor:
        """The output ``(B, ...)`` for the next input ``(B, ...)``; the state moves on.

        Raises:
            ValueError: an input or state of another shape or type than the stream was opened with.
        """
        trace, layout = self._lowered.trace, self._compiled.layout
        for view, leaf in zip((*trace.inputs, *trace.states), (x, *tensors(self.state)), strict=True):
            if leaf.shape != (self._batch, *view.shape[1:]) or leaf.dtype != view.dtype:
                wanted = (self._batch, *view.shape[1:])
                raise ValueError(f"the stream takes {wanted} of {view.dtype}, got {tuple(leaf.shape)} of {leaf.dtype}")
        given = Arguments(
            [each.unsqueeze(0) for each in features(x, 1, self._how.sequences, trace.dtype)],
            features(self.state, 1, self._how.states, trace.dtype),
            [],
            self._weights,
        )
        new = [torch.empty(1, self._batch, width, dtype=trace.dtype) for width in layout.program.states]
        widths = {node: layout.program.nodes[node].width for node in layout.leaving}
        leaving = {node: torch.empty(1, self._batch, width, dtype=trace.dtype) for node, width in widths.items()}
        call(self._compiled, 1, self._batch, given, leaving, new, self._memory, packed=self._packed)
        self._packed = True
        found = leaving | dict(zip(layout.program.next, new, strict=True))
        self.state = nested(self._how, [each[0] for each in new], trace.structure)
        return joined([found[node][0] for node in layout.program.outputs], self._how.output_shape)


def _are_whole(lowered: Lowered) -> bool:
    """Whether every leaf of input and state is one of the program's, as it is."""
    given = [*lowered.trace.inputs, *lowered.trace.states]
    wide = all(len(view.shape) == 2 and view.dtype == lowered.trace.dtype for view in given)
    single = len(lowered.sequences) == len(lowered.trace.inputs) and len(lowered.states) == len(lowered.trace.states)
    return wide and single and len(lowered.output_shape) == 1


def _nesting(structure: State) -> Callable[[list[Tensor]], State]:
    """From the leaves of a state to the state, nested like ``structure``."""
    if isinstance(structure, Tensor):
        return itemgetter(0)
    if isinstance(structure, tuple) and all(isinstance(part, Tensor) for part in structure):
        return getattr(structure, "_make", tuple)

    def nest(leaves: list[Tensor]) -> State:
        remaining = iter(leaves)
        return map_state(lambda _: next(remaining), structure)

    return nest
