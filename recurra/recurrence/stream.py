"""Streams: single steps without gradients, where every microsecond around the arithmetic counts."""

from typing import Any

import torch
from torch import Tensor, nn

from recurra.recurrence.batched import Arguments
from recurra.recurrence.cpu.execute import DTYPES, call, compile_program, memory_for
from recurra.recurrence.cpu.single import Single
from recurra.recurrence.fused import Held, Plans, current_weights, features, joined, nested, recipe
from recurra.recurrence.lower import Lowered
from recurra.recurrence.paths import obstacle
from recurra.recurrence.state import State, map_state, tensors

FEW = 4
"""Rows up to which weights are read where they lie; packing them first pays for more."""


class Stepper:
    """The single steps of one plan."""

    def __init__(self, cell: nn.Module, lowered: Lowered, held: Held | None) -> None:
        self.cell, self.lowered, self._held = cell, lowered, held
        self.single = Single(lowered.program, lowered.trace.dtype)
        self._whole = _are_whole(lowered)
        self._how = recipe(lowered, lowered.program)

    def __call__(self, x: Any, state: State) -> tuple[Tensor, State]:
        lowered = self.lowered
        if self._whole:
            sequences, states = list(tensors(x)), list(tensors(state))
        else:
            sequences = features(x, 1, self._how.sequences, lowered.trace.dtype)
            states = features(state, 1, self._how.states, lowered.trace.dtype)
        weights = current_weights(self.cell, lowered, self._held)
        for group in (sequences, states, weights):
            for place, tensor in enumerate(group):
                if not tensor.is_contiguous():
                    group[place] = tensor.contiguous()
        outputs, new = self.single(sequences, states, weights)
        if self._whole and len(outputs) == 1:
            return outputs[0], _rebuilt(lowered.trace.structure, new)
        return joined(outputs, lowered.output_shape), nested(self._how, new, lowered.trace.structure)


def step(cell: nn.Module, plans: Plans, x: Tensor, state: State) -> tuple[Tensor, State] | None:
    """A single step; None where it has to go by `paths.answer`: with gradients, for more than a few rows, for a cell
    that prepares its inputs, or the first time."""
    leaves = [x, *tensors(state)]
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or hasattr(cell, "inputs") or obstacle(leaves):
        return None
    batch = x.shape[0]
    if not 0 < batch <= FEW or any(leaf.shape[0] != batch for leaf in leaves):
        return None
    plan = plans.known(x, state, 1)
    if plan is None or plan.lowered is None or plan.fault or (plan.lowered.program, False) not in plan.checked:
        return None
    if plan.stepper is None:
        plan.stepper = Stepper(cell, plan.lowered, plan.held)
    return plan.stepper(x, state)


class Stream:
    """A stream of ``batch_size`` rows with frozen weights: packed once, they serve every step.

    What is done to the layer's weights afterwards is not seen here. Gradients do not flow.

    Attributes:
        state: what the next step begins with; may be replaced by another of the same shapes.
    """

    def __init__(self, cell: nn.Module, lowered: Lowered, state: State) -> None:
        self.state = state
        self._lowered, self._how = lowered, recipe(lowered, lowered.program)
        self._weights = [weight.detach().clone() for weight in current_weights(cell, lowered, None)]
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


def _rebuilt(structure: State, leaves: list[Tensor]) -> State:
    """The leaves, nested like ``structure``."""
    if isinstance(structure, Tensor):
        return leaves[0]
    if isinstance(structure, tuple) and all(isinstance(part, Tensor) for part in structure):
        return type(structure)(*leaves) if hasattr(structure, "_fields") else tuple(leaves)
    remaining = iter(leaves)
    return map_state(lambda _: next(remaining), structure)
