"""Streams and short sequences, where every microsecond around the arithmetic counts."""

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from recurra.recurrence.autograd import run_brief
from recurra.recurrence.batched import Arguments
from recurra.recurrence.brief import brief_of
from recurra.recurrence.cpu.direct import Direct, Form, is_whole, is_wide
from recurra.recurrence.cpu.execute import compile_program, is_little, memory_for, rounding_pays
from recurra.recurrence.cpu.handover import Handover, handover
from recurra.recurrence.cpu.launch import launch
from recurra.recurrence.cpu.machine import DTYPES
from recurra.recurrence.dual import is_forward
from recurra.recurrence.fused import Plan, Plans, checked, features, joined, nested, recipe, variant
from recurra.recurrence.lower import Lowered
from recurra.recurrence.operator import kept_of, plainly, wanted_of
from recurra.recurrence.paths import mode, obstacle
from recurra.recurrence.program import Product, Program
from recurra.recurrence.request import Request
from recurra.recurrence.state import State, map_state, tensors

FEW, DEPTH = 4, 8
"""Rows up to which weights are read where they lie: so many, or one for so many numbers that their shortest product
adds up. Packing them first pays for more."""


class Calls:
    """Short calls, told by their tensors, which `cpu/handover.py` looks at in every call."""

    def __init__(self, lowered: Lowered, handover: Handover) -> None:
        self._lowered, self._handover = lowered, handover
        self._structure, self._dtype = lowered.trace.structure, lowered.trace.dtype
        self._whole = _are_whole(lowered) and len(lowered.program.outputs) == 1
        self._kind, self._nested = type(self._structure), _nesting(self._structure)
        self._how = recipe(lowered, lowered.program)
        depths = [node.depth for node in lowered.program.nodes if isinstance(node, Product)]
        self._few = max(FEW, min(depths, default=0) // DEPTH)
        self._known: dict[tuple[Program, bool], Direct | None] = {}
        self._last: Direct | None = None
        self._rounds = False  # whether the last call would go another way under autocast

    def again(
        self, x: Any, state: Any, weights: list[Tensor], time: int | None = None, lead: bool = False
    ) -> tuple[Tensor, State] | None:
        """A call like the one before; None for any other.

        Args:
            time, lead: see `Form`.
        """
        direct = self._last
        if direct is None or type(state) is not self._kind or not self._whole:
            return None
        if self._rounds and torch.is_autocast_enabled("cpu"):
            return None
        given = [x, state] if self._kind is Tensor else [x, *state]
        new = direct.again(given, weights, time, lead)
        return None if new is None else (new.pop(), self._nested(new))

    def first(self, x: Any, state: State, weights: list[Tensor], form: Form) -> tuple[Tensor, State] | None:
        """A call that the program has been found to stand for; None where that goes another way, or a tensor is not one
        of torch's own."""
        if not self._whole and form.time is not None:
            return None
        direct = self._direct(form)
        if direct is None:
            return None
        if self._whole:
            self._last, self._rounds = direct, self._is_rounded(form)
            new = direct.first([*tensors(x), *tensors(state)], weights, form)
            return None if new is None else (new.pop(), self._nested(new))
        sequences = features(x, 1, self._how.sequences, self._dtype)
        new = direct.first(sequences + features(state, 1, self._how.states, self._dtype), weights, form)
        if new is None:
            return None
        count = len(self._how.states)
        return joined(new[count:], self._how.output_shape), nested(self._how, new[:count], self._structure)

    def _direct(self, form: Form) -> Direct | None:
        if self._is_rounded(form) and torch.is_autocast_enabled("cpu"):
            return None
        single, program = form.steps == 1, self._lowered.program
        packed = not (single and form.rows <= self._few) and is_wide(program, self._dtype)
        if not single:
            if not packed:
                return None
            program = variant(program, False, False, False, gathered=True)
        if (program, packed) not in self._known:
            self._known[program, packed] = self._compiled(program, single, packed)
        return self._known[program, packed]

    def _compiled(self, program: Program, single: bool, packed: bool) -> Direct | None:
        """For calls of one step, or of several; None where the loop is not all there is to compute."""
        kept = frozenset(state for state, node in enumerate(program.next) if node in program.outputs)
        what = program, kept, frozenset[int](), DTYPES[self._dtype]
        if single:
            compiled = compile_program(*what, single=True, packed=packed)
        else:  # the arguments with which longer calls have compiled it
            compiled = compile_program(*what, own=None, halves=frozenset())
        return Direct(compiled, self._dtype, self._handover.call, single) if is_whole(compiled) else None

    def _is_rounded(self, form: Form) -> bool:
        """Whether a call has products of rounded operands under autocast."""
        return rounding_pays(self._lowered.program, form.steps, form.rows)


class Lessons:
    """Short calls with gradients."""

    def __init__(self, lowered: Lowered) -> None:
        trace = lowered.trace
        self._program, self._dtype = lowered.program, trace.dtype
        self._text = variant(lowered.program, False, False, False, gathered=True).text
        self._whole = _are_whole(lowered) and len(lowered.program.outputs) == 1
        self._kind, self._nested = type(trace.structure), _nesting(trace.structure)

    def call(
        self, x: Any, state: Any, weights: list[Tensor], time: int | None, lead: bool
    ) -> tuple[Tensor, State] | None:
        """A call; None for one that has to go another way."""
        if type(state) is not self._kind or not self._whole:
            return None
        states = list(tensors(state))
        if lead:
            states = [leaf.squeeze(0) for leaf in states]
        series = x.unsqueeze(0) if time is None else x.transpose(0, time)
        lists, (steps, rows) = ([series], states, list[Tensor](), weights), series.shape[:2]
        if torch.is_autocast_enabled("cpu") and rounding_pays(self._program, steps, rows):
            return None
        wanted = wanted_of(lists)
        brief = brief_of(self._text, wanted, steps, rows, self._dtype) if wanted else None
        if brief is None:
            return None
        found = run_brief(brief, kept_of(lists, steps, self._text, wanted), [series, *states, *weights])
        if found is None:
            return None
        output, *last = found
        output = output.squeeze(0) if time is None else output.transpose(0, time)
        return output, self._nested([leaf.unsqueeze(0) for leaf in last] if lead else last)


class Stepper:
    """The short calls of one plan, with the cell's weights as they are; that nothing else of the cell has changed is
    made sure of every time."""

    def __init__(self, plan: Plan, handover: Handover) -> None:
        lowered, weights = plan.lowered, plan.weights
        assert lowered is not None and weights is not None
        self.plan, self.cell = plan, plan.cell
        self._calls, self._lessons, self._read = Calls(lowered, handover), Lessons(lowered), weights.read
        guard = lowered.trace.guard
        self._holds = guard.attributes_hold if weights.all else guard.holds

    def again(self, x: Any, state: Any, time: int | None, lead: bool) -> tuple[Tensor, State] | None:
        """A call like the one before, of the cell as it was then; None for any other."""
        if not self._holds():
            return None
        call = self._lessons.call if torch.is_grad_enabled() else self._calls.again
        return call(x, state, self._read(), time, lead)

    def first(self, x: Any, state: State, form: Form) -> tuple[Tensor, State] | None:
        """A call that the plan has been found to stand for; None where it goes another way."""
        if torch.is_grad_enabled():
            return self._lessons.call(x, state, self._read(), form.time, form.lead)
        return self._calls.first(x, state, self._read(), form)


def short(
    cell: nn.Module, plans: Plans, x: Tensor, state: State, time: int | None = None, lead: bool = False
) -> tuple[Tensor, State] | None:
    """A single step, or a sequence with little to compute; None where it has to go by `paths.answer`: for a cell that
    prepares its inputs, or the first time.

    Args:
        time: the dimension of time that x has, 0 where it has more than one step; None for a step without.
        lead: whether the state's tensors have a dimension of one at the front.
    """
    if not _may_be_short():
        return None
    found = _again(cell, plans, x, state, time, lead)
    return _first(cell, plans, x, state, time, lead) if found is None else found


def short_again(
    cell: nn.Module, plans: Plans, x: Any, state: Any, time: int | None, lead: bool
) -> tuple[Tensor, State] | None:
    """The same, but None also for a call that is not like the one before; x and state may be anything."""
    return _again(cell, plans, x, state, time, lead) if _may_be_short() else None


def _may_be_short() -> bool:
    return not torch.compiler.is_compiling() and not is_forward() and mode() is None


def _again(
    cell: nn.Module, plans: Plans, x: Any, state: Any, time: int | None, lead: bool
) -> tuple[Tensor, State] | None:
    stepper = plans.stepper
    return None if stepper is None or stepper.cell is not cell else stepper.again(x, state, time, lead)


def _first(
    cell: nn.Module, plans: Plans, x: Tensor, state: State, time: int | None, lead: bool
) -> tuple[Tensor, State] | None:
    learns = torch.is_grad_enabled()
    kind = x.shape, learns
    if kind == plans.longer or x.numel() == 0:
        return None
    flat = x if time is None else x.select(time, 0)
    states = map_state(lambda leaf: leaf.select(0, 0), state) if lead else state
    leaves = [flat, *tensors(states)]
    if hasattr(cell, "inputs") or obstacle(leaves) or any(leaf.shape[0] != flat.shape[0] for leaf in leaves):
        return None
    plan, form = plans.known(cell, flat, states, 1), Form(1 if time is None else x.shape[time], len(flat), time, lead)
    if plan is None or plan.lowered is None or plan.fault:
        return None
    little = plan.lowered.program, form.steps, form.rows, DTYPES[plan.lowered.trace.dtype], learns
    if form.steps > 1 and not is_little(*little):
        plans.longer = kind
        return None
    if not _is_checked(plan, plan.lowered.program, form):
        return None
    if plans.stepper is None or plans.stepper.plan is not plan:
        found = handover()
        if found is None:
            return None
        plans.stepper = Stepper(plan, found)
    answer = plans.stepper.first(x, state, form)
    if answer is None and learns:
        plans.longer = kind
    return answer


def _is_checked(plan: Plan, program: Program, form: Form) -> bool:
    """Whether a loop like that of this call has been compared with the reference."""
    if form.steps > 1:
        program = variant(program, False, False, False, gathered=True)
    return (program.text, False, torch.is_grad_enabled()) in plan.checked


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
    """A stream of ``batch_size`` rows with frozen weights.

    What is done to the layer's weights afterwards is not seen here. Gradients do not flow.

    Attributes:
        state: what the next step begins with; may be replaced by another of the same shapes.
    """

    def __init__(self, plan: Plan, state: State) -> None:
        lowered, weights = plan.lowered, plan.weights
        assert lowered is not None and weights is not None
        self.state = state
        self._lowered, self._batch = lowered, next(tensors(state)).shape[0]
        frozen = partial(torch.clone, memory_format=torch.contiguous_format)
        self._weights = [frozen(weight.detach()) for weight in weights.read()]
        found = handover() if self._batch <= FEW else None
        self._few = None if found is None else Calls(lowered, found)
        self._many = Packed(lowered, self._weights, self._batch) if found is None else None

    def step(self, x: Tensor) -> Tensor:
        """The output ``(B, ...)`` for the next input ``(B, ...)``; the state moves on.

        Raises:
            ValueError: an input or state of another shape or type than the stream was opened with.
        """
        found = None if self._few is None else self._few.again(x, self.state, self._weights)
        output, self.state = self._step(x) if found is None else found
        return output

    @torch.no_grad()
    def _step(self, x: Tensor) -> tuple[Tensor, State]:
        trace = self._lowered.trace
        for view, leaf in zip((*trace.inputs, *trace.states), (x, *tensors(self.state)), strict=True):
            if leaf.shape != (self._batch, *view.shape[1:]) or leaf.dtype != view.dtype:
                wanted = (self._batch, *view.shape[1:])
                raise ValueError(f"the stream takes {wanted} of {view.dtype}, got {tuple(leaf.shape)} of {leaf.dtype}")
        form = Form(1, self._batch, None, False)
        found = None if self._few is None else self._few.first(x, self.state, self._weights, form)
        if found is None:
            self._many = self._many or Packed(self._lowered, self._weights, self._batch)
            found = self._many.step(x, self.state)
        return found


class Packed:
    """Steps of many rows, for which weights are packed once."""

    def __init__(self, lowered: Lowered, weights: list[Tensor], batch: int) -> None:
        self._trace, self._how = lowered.trace, recipe(lowered, lowered.program)
        program, self._dtype = lowered.program, lowered.trace.dtype
        kept = frozenset(index for index, node in enumerate(program.next) if node in program.outputs)
        self._compiled = compile_program(program, kept, frozenset(), DTYPES[self._dtype], single=True)
        self._memory = memory_for(self._compiled, batch, torch.empty(0, dtype=self._dtype))
        self._weights, self._batch, self._packed = weights, batch, False

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The output and the new state."""
        layout, dtype = self._compiled.layout, self._dtype
        given = Arguments(
            [each.unsqueeze(0) for each in features(x, 1, self._how.sequences, dtype)],
            features(state, 1, self._how.states, dtype),
            [],
            self._weights,
        )
        new = [torch.empty(1, self._batch, width, dtype=dtype) for width in layout.program.states]
        widths = {node: layout.program.nodes[node].width for node in layout.leaving}
        leaving = {node: torch.empty(1, self._batch, width, dtype=dtype) for node, width in widths.items()}
        launch(self._compiled, 1, self._batch, given, leaving, new, self._memory, packed=self._packed).run()
        self._packed = True
        found = leaving | dict(zip(layout.program.next, new, strict=True))
        output = joined([found[node][0] for node in layout.program.outputs], self._how.output_shape)
        return output, nested(self._how, [each[0] for each in new], self._trace.structure)


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
