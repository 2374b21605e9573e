"""A recurrence as one PyTorch operator, ``recurra::run``, with its gradient: opaque to tracing, exported with its text.

The operator takes the program as text, so that a model exported in one process runs in another. Its tensors are the
program's inputs: sequences ``(T, B, width)``, states and rows ``(B, width)``, weights. What it returns is flat as well:
the program's outputs, the last states, and what the gradient needs to remember. ``wanted`` is empty without gradients;
else, after a question mark, a 1 or 0 for each sequence, row and weight (states always carry theirs).
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.batched import Arguments
from recurra.recurrence.cpu.execute import Outcome, execute, output_types
from recurra.recurrence.gradient import Adjoint, Wanted, differentiate
from recurra.recurrence.interpret import interpret
from recurra.recurrence.packing import Packing
from recurra.recurrence.parse import parse
from recurra.recurrence.program import Program

_library = torch.library.Library("recurra", "DEF")
_INPUTS = "Tensor[] sequences, Tensor[] states, Tensor[] rows, Tensor[] weights"
_library.define(f"run({_INPUTS}, SymInt steps, str program, str wanted) -> Tensor[]")
_library.define(
    f"run_backward(Tensor[] gradients, {_INPUTS}, Tensor[] remembered, "
    "SymInt steps, str program, str wanted) -> Tensor[]"
)


def run(
    program: str,
    sequences: Sequence[Tensor],
    states: Sequence[Tensor],
    rows: Sequence[Tensor],
    weights: Sequence[Tensor],
    steps: int,
    outputs: int,
    packing: Packing | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """Run the program of this text over ``steps`` steps, at least one: ``outputs`` outputs ``(T, B, width)``, and the
    last states. Gradients flow to every input that requires one.

    With the ``packing`` of a ragged batch, which no captured graph takes, sequences and outputs are packed.

    Raises:
        ValueError: gradients are wanted, and weights are kept as int8.
    """
    lists = list(sequences), list(states), list(rows), list(weights)
    wanted = wanted_of(lists)
    if torch.compiler.is_compiling():
        found = torch.ops.recurra.run.default(*lists, steps, program, wanted)
    elif wanted:
        flat = (tensor for tensors in lists for tensor in tensors)
        found = list(_Loop.apply(lists, steps, program, wanted, packing, *flat))
    else:
        found = run_forward(*lists, steps, program, wanted, packing)
    return found[:outputs], found[outputs : outputs + len(states)]


Lists = tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]
"""Sequences, states, rows and weights."""


def wanted_of(lists: Lists) -> str:
    """Which gradients a call with these tensors wants."""
    sequences, states, rows, weights = lists
    if not torch.is_grad_enabled() or not any(tensor.requires_grad for tensors in lists for tensor in tensors):
        return ""
    return "?" + "".join("1" if tensor.requires_grad else "0" for tensor in (*sequences, *rows, *weights))


class Training(NamedTuple):
    """How a program is run where gradients are wanted.

    Args:
        adjoint: its halves.
        kept: states that are remembered after every step.
        series: those that are no output anyway.
        wanted: the inputs that need gradients.
    """

    adjoint: Adjoint
    kept: frozenset[int]
    series: tuple[int, ...]
    wanted: Wanted


@lru_cache(maxsize=512)
def program_of(text: str) -> Program:
    return parse(text)


@lru_cache(maxsize=512)
def training_of(text: str, wanted: str) -> Training:
    program = program_of(text)
    if program.int8:
        raise ValueError("weights kept as int8 are for inference: call the layer under torch.no_grad(), or detach x")
    flags = [letter == "1" for letter in wanted[1:]]
    sequences, rows = len(program.sequences), len(program.rows)
    split = Wanted(
        tuple(flags[:sequences]), tuple(flags[sequences + rows :]), tuple(flags[sequences : sequences + rows])
    )
    adjoint = differentiate(program, split)
    kept = frozenset(source.number for source in adjoint.sources if source.kind == "previous")
    series = tuple(sorted(state for state in kept if program.next[state] not in adjoint.forward.outputs))
    return Training(adjoint, kept, series, split)


def plainly() -> AbstractContextManager[Any]:
    """Without autocast: what is to be rounded, programs say."""
    return torch.autocast("cpu", enabled=False) if torch.is_autocast_enabled("cpu") else nullcontext()


def run_forward(
    sequences: list[Tensor],
    states: list[Tensor],
    rows: list[Tensor],
    weights: list[Tensor],
    steps: int,
    program: str,
    wanted: str,
    packing: Packing | None = None,
) -> list[Tensor]:
    """What the operator computes: the program's outputs, the last states, and what its gradient remembers."""
    step = program_of(program)
    given = Arguments(sequences, states, rows, weights, packing=packing)
    if not wanted:
        kept = frozenset(state for state, node in enumerate(step.next) if node in step.outputs)
        with plainly():
            outcome = execute(step, given, steps, kept)
        return _distinct([*outcome.outputs, *_own(outcome.states)])
    training = training_of(program, wanted)
    count = len(step.outputs)
    with plainly():
        outcome = execute(training.adjoint.forward, given, steps, training.kept, count)
    series = [outcome.series[state] for state in training.series]
    return _distinct([*outcome.outputs[:count], *_own(outcome.states), *outcome.outputs[count:], *series])


def _own(states: list[Tensor]) -> list[Tensor]:
    """Copies of the last states, which the loop leaves as views: what is returned may be edited in place."""
    return [state.clone() for state in states]


def _distinct(tensors: list[Tensor]) -> list[Tensor]:
    """The tensors, contiguous and with memory of their own, as an operator has to return them."""
    seen: set[int] = set()
    found = []
    for tensor in tensors:
        storage = tensor.untyped_storage().data_ptr()
        own = tensor.clone(memory_format=torch.contiguous_format) if storage in seen else tensor.contiguous()
        seen.add(own.untyped_storage().data_ptr())
        found.append(own)
    return found


def run_backward(
    gradients: list[Tensor],
    sequences: list[Tensor],
    states: list[Tensor],
    rows: list[Tensor],
    weights: list[Tensor],
    remembered: list[Tensor],
    steps: int,
    program: str,
    wanted: str,
    packing: Packing | None = None,
) -> list[Tensor]:
    """The gradients of the wanted sequences, of all states, of the wanted rows and weights.

    Args:
        gradients: of the outputs and the last states.
        remembered: the outputs, and all that `run_forward` gives besides the last states.
    """
    step, training = program_of(program), training_of(program, wanted)
    forward, backward, sources = training.adjoint
    after = dict(zip(training.series, remembered[len(forward.outputs) :], strict=True))
    for state in training.kept - after.keys():
        after[state] = remembered[forward.outputs.index(step.next[state])]
    places: dict[str, Any] = {"sequence": sequences, "previous": after, "output": remembered, "gradient": gradients}
    series = [places[source.kind][source.number] for source in sources]
    starts = {place: states[source.number] for place, source in enumerate(sources) if source.kind == "previous"}
    given = Arguments(series, gradients[len(step.outputs) :], rows, weights, starts, packing)
    with plainly():
        outcome = execute(backward, given, steps)
    return _distinct(list(_in_order(outcome, training.wanted, rows, weights)))


def _in_order(outcome: Outcome, wanted: Wanted, rows: list[Tensor], weights: list[Tensor]) -> Iterator[Tensor]:
    """The gradients of the wanted sequences, of all states, of the wanted rows and weights."""
    yield from outcome.outputs
    yield from outcome.states
    for found, flags, tensors in ((outcome.rows, wanted.rows, rows), (outcome.weights, wanted.weights, weights)):
        for index, flag in enumerate(flags):
            if flag:
                yield found[index] if index in found else torch.zeros_like(tensors[index])


def _run_fake(
    sequences: list[Tensor],
    states: list[Tensor],
    rows: list[Tensor],
    weights: list[Tensor],
    steps: Any,
    program: str,
    wanted: str,
) -> list[Tensor]:
    step = program_of(program)
    like = [*states, *sequences][0]
    batch = like.shape[-2]
    widths = [step.nodes[node].width for node in step.outputs]
    extra: list[tuple[int, torch.dtype]] = []
    if wanted:
        training = training_of(program, wanted)
        forward = training.adjoint.forward
        types = output_types(forward, len(widths), like.dtype)
        extra = [(forward.nodes[node].width, dtype) for node, dtype in zip(forward.outputs, types, strict=True)]
        extra = extra[len(widths) :]
        extra += [(step.states[state], like.dtype) for state in training.series]
    return [
        *(like.new_empty(steps, batch, width) for width in widths),
        *(like.new_empty(batch, width) for width in step.states),
        *(like.new_empty(steps, batch, width, dtype=dtype) for width, dtype in extra),
    ]


def _run_backward_fake(
    gradients: list[Tensor],
    sequences: list[Tensor],
    states: list[Tensor],
    rows: list[Tensor],
    weights: list[Tensor],
    remembered: list[Tensor],
    steps: Any,
    program: str,
    wanted: str,
) -> list[Tensor]:
    flags = training_of(program, wanted).wanted
    chosen = [
        *(tensor for tensor, flag in zip(sequences, flags.sequences, strict=True) if flag),
        *states,
        *(tensor for tensor, flag in zip(rows, flags.rows, strict=True) if flag),
        *(tensor for tensor, flag in zip(weights, flags.weights, strict=True) if flag),
    ]
    return [tensor.new_empty(tensor.shape) for tensor in chosen]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    *lists, ctx.steps, ctx.program, ctx.wanted = inputs
    ctx.packing = None
    ctx.lengths = [len(tensors) for tensors in lists]
    outputs, states = len(program_of(ctx.program).outputs), len(lists[1])
    ctx.last = slice(outputs, outputs + states)
    remembered = [*output[:outputs], *output[outputs + states :]]
    ctx.save_for_backward(*(tensor for tensors in lists for tensor in tensors), *remembered)


def _backward(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    saved = list(ctx.saved_tensors)
    lists = []
    for length in ctx.lengths:
        lists.append(saved[:length])
        del saved[:length]
    step, last = program_of(ctx.program), ctx.last
    given = [
        gradient if gradient is not None else like.new_zeros(1).expand(like.shape)
        for gradient, like in zip(gradients[: last.stop], [*saved[: last.start], *lists[1]], strict=True)
    ]
    if torch.is_grad_enabled():
        return *backward_twice(step, lists, given, ctx.steps, ctx.packing), None, None, None
    in_graph = torch.ops.recurra.run_backward.default
    compute: Any = in_graph if torch.compiler.is_compiling() else partial(run_backward, packing=ctx.packing)
    found = iter(compute(given, *lists, saved, ctx.steps, ctx.program, ctx.wanted))
    sequences, rows, weights = _flags(ctx)
    every = [sequences, [True] * len(lists[1]), rows, weights]
    return *([next(found) if flag else None for flag in flags] for flags in every), None, None, None


def _flags(ctx: Any) -> tuple[Sequence[bool], Sequence[bool], Sequence[bool]]:
    wanted = training_of(ctx.program, ctx.wanted).wanted
    return wanted.sequences, wanted.rows, wanted.weights


def backward_twice(
    program: Program,
    lists: list[list[Tensor]],
    gradients: list[Tensor],
    steps: int,
    packing: Packing | None = None,
) -> Iterator[list[Tensor | None]]:
    """The gradients as a graph of their own, from the program's meaning, for second derivatives."""
    with torch.enable_grad():
        sequences, states, rows, weights = lists
        result = interpret(program, sequences, states, rows, weights, steps, packing)
        flat = [tensor for tensors in lists for tensor in tensors]
        results = [*result.outputs, *result.states]
        pairs = [(value, gradient) for value, gradient in zip(results, gradients, strict=True) if value.requires_grad]
        needed = [tensor for tensor in flat if tensor.requires_grad]
        values, given = zip(*pairs, strict=True)
        found = iter(torch.autograd.grad(values, needed, given, create_graph=True, allow_unused=True))
    for tensors in lists:
        yield [next(found) if tensor.requires_grad else None for tensor in tensors]


class _Loop(torch.autograd.Function):
    """The operator without the dispatcher, whose handling of lists takes longer than many a loop."""

    @staticmethod
    def forward(
        ctx: Any, lists: Lists, steps: int, program: str, wanted: str, packing: Packing | None, *flat: Tensor
    ) -> Any:
        output = run_forward(*lists, steps, program, wanted, packing)
        _setup_context(ctx, (*lists, steps, program, wanted), output)
        ctx.packing = packing
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[ctx.last.stop :])
        return tuple(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        *lists, _, _, _ = _backward(ctx, list(gradients))
        return None, None, None, None, None, *(gradient for gradients in lists for gradient in gradients)


_library.impl("run", run_forward, "CPU")
_library.impl("run_backward", run_backward, "CPU")
torch.library.register_fake("recurra::run", _run_fake, lib=_library)
torch.library.register_fake("recurra::run_backward", _run_backward_fake, lib=_library)
torch.library.register_autograd("recurra::run", _backward, setup_context=_setup_context, lib=_library)
