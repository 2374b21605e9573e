"""From a cell and the user's tensors to a program and its, and back: the compiled path of a sequence layer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.recurrence.autograd import Call, Ran, run
from recurra.recurrence.check import disagreement
from recurra.recurrence.cpu.execute import gathers, rounding_pays
from recurra.recurrence.cpu.machine import DTYPES
from recurra.recurrence.int8 import by_int8
from recurra.recurrence.lower import Lowered, lower
from recurra.recurrence.masks import with_lengths, with_reset
from recurra.recurrence.packing import Packing, pack, pack_lengths, pick, unpack
from recurra.recurrence.program import Program
from recurra.recurrence.ragged import blank_padding, within
from recurra.recurrence.request import Request, Result
from recurra.recurrence.state import State, map_state, tensors
from recurra.recurrence.trace import NotFused, trace
from recurra.recurrence.weights import Weights

Loop = Callable[..., Ran]
"""`run`, or another with its arguments and results."""


class Begun(NamedTuple):
    """A layer's call up to where its loop runs, and how the result is made of what that gives."""

    call: Call
    finish: Callable[[list[Tensor], list[Tensor]], Result]

    def run(self, loop: Loop = run) -> Result:
        """The result, by ``loop``."""
        return self.finish(*loop(*self.call))


@dataclass
class Plan:
    """How a cell runs: its program, or why it has none.

    Args:
        cell: which one.
        kind: shapes and types that the trace stands for.
        lowered: the program and how to reach its tensors.
        fault: why the reference runs instead.
        checked: what has been compared with the reference, as (text of the program, has lengths, needs gradients).
        weights: of the program.
        recipes: by variant of the program.
    """

    cell: nn.Module
    kind: Any
    lowered: Lowered | None
    fault: NotFused | None
    checked: set[tuple[str, bool, bool]]
    weights: Weights | None = None
    recipes: dict[Program, "Recipe"] = field(default_factory=dict)


class Plans:
    """The plans of one layer. Copies of the layer, and its pickles, start without.

    Attributes:
        found: one for each kind of call.
        graphs: how the weights of a program, by its text, follow from parameters, for graphs that are being captured.
        stepper: for short calls like the last one.
        longer: of the last call that was found to be none, the shape of inputs, and whether it had gradients.
    """

    def __init__(self) -> None:
        self.found: list[Plan] = []
        self.graphs: dict[str, nn.Module] = {}
        self.stepper: Any = None
        self.longer: tuple[torch.Size, bool] | None = None

    def __deepcopy__(self, memo: Any) -> "Plans":
        return Plans()

    def __reduce__(self) -> tuple[type["Plans"], tuple[()]]:
        return Plans, ()

    def known(self, cell: nn.Module, inputs: Any, state: State, first: int) -> Plan | None:
        """The plan for such inputs, whose features begin at dimension ``first``, unless the cell has changed."""
        kind = _kind(inputs, state, first)
        for plan in self.found:
            if plan.cell is cell and plan.kind == kind and (plan.lowered is None or plan.lowered.trace.guard.holds()):
                return plan
        return None

    def find(self, cell: nn.Module, request: Request) -> Plan:
        """The plan for a call, made if there is none yet or the cell has changed."""
        plan = self.known(cell, request.inputs, request.state, 2)
        if plan is None:
            plan = _planned(cell, request)
            self.found = [*(other for other in self.found if other.kind != plan.kind), plan]
        return plan


def _kind(inputs: Any, state: State, first: int) -> Any:
    """What a trace stands for: nestings, with shapes without batch and time, and types."""
    return _nesting(inputs, first), _nesting(state, 1)


def _nesting(nest: Any, first: int) -> Any:
    if isinstance(nest, Tensor):
        return nest.shape[first:], nest.dtype
    parts = nest.items() if isinstance(nest, dict) else enumerate(nest)
    return type(nest), *[(key, _nesting(part, first)) for key, part in parts]


def _planned(cell: nn.Module, request: Request) -> Plan:
    kind = _kind(request.inputs, request.state, 2)
    x = map_state(lambda leaf: leaf[:, 0], request.inputs)
    try:
        lowered = by_int8(lower(trace(cell, x, request.state)))
    except NotFused as fault:
        # another, that has not come through frames: they would hold the inputs as long as the plan is kept
        return Plan(cell, kind, None, NotFused(fault.reason, fault.place, fault.operation), set())
    return Plan(cell, kind, lowered, None, set(), Weights(cell, lowered))


@lru_cache(maxsize=512)
def variant(
    program: Program, masked: bool, reset: bool, trajectory: bool, bfloat16: bool = False, gathered: bool = False
) -> Program:
    """The program as a call needs it: with a mask for lengths, where rows are not packed, and one for resets, with the
    states among its outputs, and with rounded or gathered products."""
    if reset:
        program = with_reset(program)
    if masked:
        program = with_lengths(program)
    outputs = program.outputs + program.next if trajectory else program.outputs
    return replace(program, outputs=outputs, bfloat16=bfloat16, gathered=gathered)


def prepare_fused(plan: Plan, cell: nn.Module, request: Request, masked: bool = False) -> Begun | None:
    """A call by the compiled loop; None where the reference has to run.

    Args:
        masked: see `checked`.
    """
    request = _rounded_where_it_pays(plan, request, next(tensors(request.inputs)).shape[1])
    how = checked(plan, cell, request, masked)
    return None if how is None else _prepare_plan(plan, how, request)


def _rounded_where_it_pays(plan: Plan, request: Request, steps: int) -> Request:
    """The request, of exact products where rounding operands saves nothing."""
    if plan.lowered is None or not request.bfloat16:
        return request
    pays = rounding_pays(plan.lowered.program, steps, next(tensors(request.state)).shape[0])
    return request._replace(bfloat16=pays)


def checked(plan: Plan, cell: nn.Module, request: Request, masked: bool = False) -> "Recipe | None":
    """The recipe for a call, compared with the reference at its first use. None where there is no loop or the two
    disagree; the plan holds the fault.

    Args:
        masked: whether a mask says which rows run, instead of packing them.
    """
    if plan.lowered is None or plan.fault is not None:
        return None
    exact = request._replace(bfloat16=False)  # rounding would hide a small mistake
    how = recipe_for(plan, exact, masked)
    use = how.program, request.lengths is not None, torch.is_grad_enabled()
    if use not in plan.checked:
        fault = disagreement(cell, exact, lambda given: _prepare_plan(plan, how, given).run(), use[2])
        if fault is not None:
            plan.fault = NotFused(fault)
            return None
        plan.checked.add(use)
    return recipe_for(plan, request, masked)


def recipe_for(plan: Plan, request: Request, masked: bool = False, packing: Packing | None = None) -> "Recipe":
    """The recipe for a call of a cell that has a program.

    Args:
        packing: of inputs that are packed already.
    """
    assert plan.lowered is not None
    state, reset = next(tensors(request.state)), request.reset is not None
    steps = next(tensors(request.inputs)).shape[1] if packing is None else packing.steps
    what = plan.lowered.program, masked, reset, request.trajectory, request.bfloat16
    program = variant(*what, gathered=gathers(variant(*what), steps, state.shape[0], DTYPES[state.dtype]))
    if program not in plan.recipes:
        plan.recipes[program] = recipe(plan.lowered, program, masked)
    return plan.recipes[program]


def _prepare_plan(plan: Plan, how: "Recipe", request: Request) -> Begun:
    assert plan.lowered is not None and plan.weights is not None
    return prepare_recipe(how, plan.weights.read(), request, plan.lowered.trace.structure)


def prepare_known(plan: Plan, request: Request, packing: Packing) -> Begun | None:
    """As `prepare_packed`, of a plan that has been compared with the reference on a ragged batch; None of any other."""
    lowered, weights = plan.lowered, plan.weights
    if lowered is None or weights is None or plan.fault is not None:
        return None
    request = _rounded_where_it_pays(plan, request, packing.steps)
    exact = recipe_for(plan, request._replace(bfloat16=False), packing=packing)
    if (exact.program, True, torch.is_grad_enabled()) not in plan.checked:
        return None
    how = recipe_for(plan, request, packing=packing)
    return prepare_packed(how, weights.read(), request, packing, lowered.trace.structure)


class Recipe(NamedTuple):
    """How a call's tensors become a program's, and back, in plain numbers.

    Args:
        program: its text.
        masked: whether it has a mask for lengths; else the rows are packed.
        outputs: how many of its outputs are parts of the layer's.
        sequences, states: the part of the step's input or state that each of the program's is.
        output_shape, state_shapes: features of the output and of the leaves of the state.
    """

    program: str
    masked: bool
    outputs: int
    sequences: tuple[tuple[int, int, int], ...]
    states: tuple[tuple[int, int, int], ...]
    output_shape: tuple[int, ...]
    state_shapes: tuple[tuple[int, ...], ...]


def recipe(lowered: Lowered, program: Program, masked: bool = False) -> Recipe:
    """For a variant of the program of ``lowered``."""
    return Recipe(
        program.text,
        masked,
        len(lowered.program.outputs),
        tuple((part.leaf, part.start, part.width) for part in lowered.sequences),
        tuple((part.leaf, part.start, part.width) for part in lowered.states),
        lowered.output_shape,
        lowered.state_shapes,
    )


def prepare_recipe(how: Recipe, weights: list[Tensor], request: Request, structure: State) -> Begun:
    """A program on a call's tensors; states come nested like ``structure``."""
    dtype = next(tensors(request.state)).dtype
    steps = next(tensors(request.inputs)).shape[1]
    if request.lengths is not None and not how.masked:
        if int(request.lengths.min()) < steps:
            return _prepare_ragged(how, weights, request, structure)
        request = request._replace(lengths=None)
    if (lengths := request.lengths) is not None:  # a mask: a gradient would go through what stands behind a row's end
        request = request._replace(inputs=map_state(lambda leaf: blank_padding(leaf, lengths), request.inputs))
    sequences = [each.transpose(0, 1) for each in features(request.inputs, 2, how.sequences, dtype)]
    states = features(request.state, 1, how.states, dtype)
    rows = [] if request.reset is None else features(request.start, 1, how.states, dtype)
    given = [*sequences, *_masks(request, dtype)]
    count = how.outputs + request.trajectory * len(states)
    call = Call(how.program, given, states, rows, weights, steps, count)
    return Begun(call, partial(_batch_first, how, structure, request.trajectory))


def _batch_first(how: Recipe, structure: State, trajectory: bool, outputs: list[Tensor], last: list[Tensor]) -> Result:
    own, state, states = _result(how, structure, trajectory, outputs, last)
    turned = None if states is None else map_state(lambda leaf: leaf.transpose(0, 1), states)
    return Result(own.transpose(0, 1), state, turned)


def _result(how: Recipe, structure: State, trajectory: bool, outputs: list[Tensor], last: list[Tensor]) -> Result:
    """What a program gives as a layer does, with series as they come."""
    every = nested(how, outputs[how.outputs :], structure) if trajectory else None
    return Result(joined(outputs[: how.outputs], how.output_shape), nested(how, last, structure), every)


def _prepare_ragged(how: Recipe, weights: list[Tensor], request: Request, structure: State) -> Begun:
    """A program on the steps that a ragged batch has: packed, longest row first, and back."""
    lengths, steps = request.lengths, next(tensors(request.inputs)).shape[1]
    assert lengths is not None
    packing = pack_lengths(lengths)
    series = map_state(lambda leaf: pack(leaf, packing), request.inputs)
    order = packing.sorted()
    starts = request.state, () if request.start is None else request.start
    state, start = map_state(lambda leaf: pick(leaf, order), starts)
    reset = None if request.reset is None else pack(request.reset, packing)
    given = Request(series, state, start, None, reset, request.trajectory)
    call, finish = prepare_packed(how, weights, given, packing, structure)

    def padded(outputs: list[Tensor], last: list[Tensor]) -> Result:
        own, ends, every = finish(outputs, last)
        places = packing.unsorted()
        state, states = map_state(lambda leaf: pick(leaf, places), ends), None
        if every is not None:
            states = map_state(lambda leaf, end: _held(unpack(leaf, packing, steps), end, lengths), every, state)
        return Result(unpack(own, packing, steps), state, states)

    return Begun(call, padded)


def _held(series: Tensor, end: Tensor, lengths: Tensor) -> Tensor:
    """A series ``(B, T, ...)``, with its end behind each row's end."""
    running = within(lengths, series.shape[1])
    return torch.where(running.view(*running.shape, *[1] * (end.dim() - 1)), series, end.unsqueeze(1))


def prepare_packed(how: Recipe, weights: list[Tensor], request: Request, packing: Packing, structure: State) -> Begun:
    """A program on a call whose rows are packed already: instead of ``(B, T, ...)`` all series are ``(N, ...)``."""
    dtype = next(tensors(request.state)).dtype
    sequences = features(request.inputs, 1, how.sequences, dtype)
    states = features(request.state, 1, how.states, dtype)
    rows = [] if request.reset is None else features(request.start, 1, how.states, dtype)
    sequences += [] if request.reset is None else [request.reset.to(dtype).unsqueeze(1)]
    count = how.outputs + request.trajectory * len(states)
    call = Call(how.program, sequences, states, rows, weights, packing.steps, count, packing)
    return Begun(call, partial(_result, how, structure, request.trajectory))


def features(nest: Any, first: int, parts: tuple[tuple[int, int, int], ...], dtype: torch.dtype) -> list[Tensor]:
    """The parts of a nesting's features, which begin at dimension ``first``, each side by side in one dimension."""
    leaves = list(tensors(nest))
    found = []
    for leaf, start, width in parts:
        flat = leaves[leaf].flatten(first) if leaves[leaf].dim() > first else leaves[leaf].unsqueeze(first)
        whole = start == 0 and width == flat.shape[first]
        found.append((flat if whole else flat.narrow(first, start, width)).to(dtype))
    return found


def _masks(request: Request, dtype: torch.dtype) -> Iterator[Tensor]:
    """The sequences that `variant` has added, in its order: where rows are reset, and where a mask says so while they
    run."""
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


def nested(how: Recipe, values: list[Tensor], structure: State) -> State:
    """The states' parts as the leaves of a state."""
    leaves: list[list[Tensor]] = [[] for _ in how.state_shapes]
    for (leaf, _, _), value in zip(how.states, values, strict=True):
        leaves[leaf].append(value)
    whole = iter([joined(pieces, shape) for pieces, shape in zip(leaves, how.state_shapes, strict=True)])
    return map_state(lambda _: next(whole), structure)
