"""From a cell and the user's tensors to a program and its, and back: the compiled path of a sequence layer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from recurra.recurrence import reference
from recurra.recurrence.check import disagreement
from recurra.recurrence.cpu.execute import DTYPES
from recurra.recurrence.guard import fetch
from recurra.recurrence.lower import Lowered, Part, lower
from recurra.recurrence.masks import with_lengths, with_reset
from recurra.recurrence.operator import run
from recurra.recurrence.program import Program
from recurra.recurrence.ragged import within
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import State, map_state, tensors
from recurra.recurrence.trace import NotFused, trace


@dataclass
class Plan:
    """How a cell runs: its program, or why it has none.

    Args:
        kind: shapes and types that the trace stands for.
        lowered: the program and how to reach its tensors.
        fault: why the reference runs instead.
        checked: what has been compared with the reference, as (program, needs gradients).
        stepper: for single steps without gradients, once one has been taken.
    """

    kind: Any
    lowered: Lowered | None
    fault: NotFused | None
    checked: set[tuple[Program, bool]]
    stepper: Any = None


class Plans:
    """The plans of one layer. Copies of the layer, and its pickles, start without."""

    def __init__(self) -> None:
        self.found: list[Plan] = []

    def __deepcopy__(self, memo: Any) -> "Plans":
        return Plans()

    def __reduce__(self) -> tuple[type["Plans"], tuple[()]]:
        return Plans, ()

    def known(self, inputs: Any, state: State, first: int) -> Plan | None:
        """The plan for such inputs, whose features begin at dimension ``first``, unless the cell has changed."""
        kind = _kind(inputs, state, first)
        for plan in self.found:
            if plan.kind == kind and (plan.lowered is None or plan.lowered.trace.guard.holds()):
                return plan
        return None

    def find(self, cell: nn.Module, request: Request) -> Plan:
        """The plan for a call, made if there is none yet or the cell has changed."""
        plan = self.known(request.inputs, request.state, 2)
        if plan is None:
            plan = _planned(cell, request)
            self.found = [*(other for other in self.found if other.kind != plan.kind), plan]
        return plan


def obstacle(leaves: list[Tensor]) -> str | None:
    """Why a call with these inputs and states has to run by the reference, whatever the cell."""
    elsewhere = next((leaf.device.type for leaf in leaves if leaf.device.type != "cpu"), None)
    if elsewhere is not None:
        return f"the tensors are on {elsewhere}, and loops are compiled for the CPU"
    strange = next((leaf.dtype for leaf in leaves if leaf.is_floating_point() and leaf.dtype not in DTYPES), None)
    if strange is not None:
        return f"the tensors are of {strange}, and loops are compiled for float32 and float64"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on, and compiled loops do not change the type"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a transform of torch.func is at work"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode derivatives are being taken"
    if any(leaf.shape[0] == 0 for leaf in leaves):
        return "the batch is empty"
    return None


def _kind(inputs: Any, state: State, first: int) -> Any:
    """What a trace stands for: shapes without batch and time, types, nesting."""
    given = tuple((leaf.shape[first:], leaf.dtype) for leaf in tensors(inputs))
    states = tuple((leaf.shape[1:], leaf.dtype) for leaf in tensors(state))
    return given, states, reference.outline(inputs), reference.outline(state)


def _planned(cell: nn.Module, request: Request) -> Plan:
    kind = _kind(request.inputs, request.state, 2)
    x = map_state(lambda leaf: leaf[:, 0], request.inputs)
    try:
        lowered = lower(trace(cell, x, request.state))
    except NotFused as fault:
        return Plan(kind, None, fault, set())
    return Plan(kind, lowered, None, set())


@lru_cache(maxsize=512)
def variant(program: Program, lengths: bool, reset: bool, trajectory: bool) -> Program:
    """The program with masks, and with the states among its outputs, as a call needs it."""
    if reset:
        program = with_reset(program)
    if lengths:
        program = with_lengths(program)
    return replace(program, outputs=program.outputs + program.next) if trajectory else program


def run_fused(plan: Plan, cell: nn.Module, request: Request) -> Result:
    """Run a call by the compiled loop.

    Raises:
        NotFused: at the first use, where the loop and the reference disagree; the plan holds the fault from then on.
    """
    lowered = plan.lowered
    assert lowered is not None
    masked = request.lengths is not None, request.reset is not None
    program = variant(lowered.program, *masked, request.trajectory)
    use = program, torch.is_grad_enabled()
    if use not in plan.checked:
        fault = disagreement(cell, request, lambda tiny: _run(lowered, program, cell, tiny), use[1])
        if fault is not None:
            plan.fault = NotFused(fault)
            raise plan.fault
        plan.checked.add(use)
    return _run(lowered, program, cell, request)


def _run(lowered: Lowered, program: Program, cell: nn.Module, request: Request) -> Result:
    dtype = next(tensors(request.state)).dtype
    steps = next(tensors(request.inputs)).shape[1]
    weights = lowered.weights({name: fetch(cell, name) for name in lowered.parameters})
    given = [features(leaf, 2, part, dtype) for leaf, part in parts(request.inputs, lowered.sequences)]
    sequences = [*(sequence.transpose(0, 1) for sequence in given), *_masks(request, dtype)]
    states = [features(leaf, 1, part, dtype) for leaf, part in parts(request.state, lowered.states)]
    rows = []
    if request.reset is not None:
        rows = [features(leaf, 1, part, dtype) for leaf, part in parts(request.start, lowered.states)]
    found = run(program, sequences, states, rows, weights, steps)
    count = len(lowered.program.outputs)
    outputs = joined(found.outputs[:count], (*lowered.output_shape,)).transpose(0, 1)
    last = nested(lowered, found.states)
    every = None
    if request.trajectory:
        every = map_state(lambda leaf: leaf.transpose(0, 1), nested(lowered, found.outputs[count:]))
    return Result(outputs, last, every)


def parts(nest: Any, parts: tuple[Part, ...]) -> Iterator[tuple[Tensor, Part]]:
    leaves = list(tensors(nest))
    return ((leaves[part.leaf], part) for part in parts)


def features(leaf: Tensor, first: int, part: Part, dtype: torch.dtype) -> Tensor:
    """A part of a leaf's features, side by side in the last dimension."""
    flat = leaf.flatten(first) if leaf.dim() > first else leaf.unsqueeze(first)
    whole = part.start == 0 and part.width == flat.shape[first]
    return (flat if whole else flat.narrow(first, part.start, part.width)).to(dtype)


def _masks(request: Request, dtype: torch.dtype) -> Iterator[Tensor]:
    """The sequences that `variant` has added, in its order: where rows are reset, and while they run."""
    steps = next(tensors(request.inputs)).shape[1]
    running = None if request.lengths is None else within(request.lengths, steps)
    if request.reset is not None:
        reset = request.reset if running is None else request.reset & running
        yield reset.to(dtype).T.unsqueeze(2)
    if running is not None:
        yield running.to(dtype).T.unsqueeze(2)


def joined(pieces: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    """Features side by side, in the shape that the step gave them."""
    whole = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=-1)
    return whole if whole.shape[-1:] == shape else whole.unflatten(-1, shape) if shape else whole.squeeze(-1)


def nested(lowered: Lowered, values: list[Tensor]) -> State:
    """The states' parts as the leaves of a state, which nests as the step's result does."""
    leaves: list[list[Tensor]] = [[] for _ in lowered.state_shapes]
    for part, value in zip(lowered.states, values, strict=True):
        leaves[part.leaf].append(value)
    whole = iter([joined(pieces, shape) for pieces, shape in zip(leaves, lowered.state_shapes, strict=True)])
    return map_state(lambda _: next(whole), lowered.trace.structure)


def answer(cell: nn.Module, plans: Plans, request: Request) -> Result:
    """A whole call by the compiled loop where there is one, else by the reference."""
    if obstacle([*tensors(request.inputs), *tensors(request.state)]) is None:
        plan = plans.find(cell, request)
        try:
            if plan.fault is None:
                return run_fused(plan, cell, request)
        except NotFused:
            pass
    return reference.answer(cell, request)
