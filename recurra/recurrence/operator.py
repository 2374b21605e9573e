"""A recurrence as one PyTorch operator, ``recurra::run``, and its gradient's: opaque to tracing, exported as text.

The operator takes the program as text, so that a model exported in one process runs in another. Its tensors are the
program's inputs: sequences ``(T, B, width)``, states and rows ``(B, width)``, weights. What it returns is flat as well:
the program's outputs, the last states, and what the gradient needs to remember. ``wanted`` is empty without gradients;
else, after a question mark, a 1 or 0 for each sequence, row and weight (states always carry theirs).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.batched import Arguments
from recurra.recurrence.cpu.execute import Job, Outcome, execute, output_types
from recurra.recurrence.gradient import Wanted
from recurra.recurrence.packing import Packing
from recurra.recurrence.training import program_of, training_of

library = torch.library.Library("recurra", "DEF")
_INPUTS = "Tensor[] sequences, Tensor[] states, Tensor[] rows, Tensor[] weights"
library.define(f"run({_INPUTS}, SymInt steps, str program, str wanted) -> Tensor[]")
library.define(
    f"run_backward(Tensor[] gradients, {_INPUTS}, Tensor[] remembered, "
    "SymInt steps, str program, str wanted) -> Tensor[]"
)


Lists = tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]
"""Sequences, states, rows and weights."""


def wanted_of(lists: Lists) -> str:
    """Which gradients a call with these tensors wants."""
    sequences, states, rows, weights = lists
    if not torch.is_grad_enabled() or not any(tensor.requires_grad for tensors in lists for tensor in tensors):
        return ""
    return "?" + "".join("1" if tensor.requires_grad else "0" for tensor in (*sequences, *rows, *weights))


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
    with plainly():
        outcome = execute(*forward_job((sequences, states, rows, weights), steps, program, wanted, packing))
    return forward_results(outcome, program, wanted)


def forward_job(lists: Lists, steps: int, program: str, wanted: str, packing: Packing | None) -> Job:
    """What `run_forward` has to execute."""
    step, given = program_of(program), Arguments(*lists, packing=packing)
    if wanted:
        training = training_of(program, wanted)
        return Job(training.adjoint.forward, given, steps, training.kept, len(step.outputs))
    return Job(step, given, steps, frozenset(state for state, node in enumerate(step.next) if node in step.outputs))


def forward_results(outcome: Outcome, program: str, wanted: str) -> list[Tensor]:
    """What `run_forward` returns of it."""
    count = len(program_of(program).outputs)
    series = [outcome.series[state] for state in training_of(program, wanted).series] if wanted else []
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
    lists = sequences, states, rows, weights
    with plainly():
        outcome = execute(*backward_job(gradients, lists, remembered, steps, program, wanted, packing))
    return backward_results(outcome, lists, program, wanted)


def backward_job(
    gradients: list[Tensor],
    lists: Lists,
    remembered: list[Tensor],
    steps: int,
    program: str,
    wanted: str,
    packing: Packing | None,
) -> Job:
    """What `run_backward` has to execute."""
    sequences, states, rows, weights = lists
    step, training = program_of(program), training_of(program, wanted)
    forward, backward, sources = training.adjoint
    after = dict(zip(training.series, remembered[len(forward.outputs) :], strict=True))
    for state in training.kept - after.keys():
        after[state] = remembered[forward.outputs.index(step.next[state])]
    places: dict[str, Any] = {"sequence": sequences, "previous": after, "output": remembered, "gradient": gradients}
    series = [places[source.kind][source.number] for source in sources]
    starts = {place: states[source.number] for place, source in enumerate(sources) if source.kind == "previous"}
    given = Arguments(series, gradients[len(step.outputs) :], rows, weights, starts, packing)
    return Job(backward, given, steps)


def backward_results(outcome: Outcome, lists: Lists, program: str, wanted: str) -> list[Tensor]:
    """What `run_backward` returns of it."""
    _, _, rows, weights = lists
    return _distinct(list(_in_order(outcome, training_of(program, wanted).wanted, rows, weights)))


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


class Kept(NamedTuple):
    """What the gradient of a call has to know besides tensors; ``lengths``: of the call's lists."""

    steps: int
    program: str
    wanted: str
    packing: Packing | None
    lengths: tuple[int, ...]

    @property
    def how(self) -> Any:
        """The arguments of `run_forward` that follow the lists."""
        return self[:4]

    @property
    def last(self) -> slice:
        """Which of the results are the last states."""
        outputs = len(program_of(self.program).outputs)
        return slice(outputs, outputs + self.lengths[1])

    def saved(self, lists: Lists, results: list[Tensor]) -> list[Tensor]:
        """The tensors for the gradient."""
        last = self.last
        return [*(tensor for tensors in lists for tensor in tensors), *results[: last.start], *results[last.stop :]]

    def opened(
        self, saved: Sequence[Tensor], gradients: Sequence[Tensor | None]
    ) -> tuple[Lists, list[Tensor], list[Tensor]]:
        """The call's lists, what it remembered, and the gradients of its outputs and last states."""
        last = self.last
        lists, tensors = self.parted(saved)
        given = [
            gradient if gradient is not None else like.new_zeros(1).expand(like.shape)
            for gradient, like in zip(gradients[: last.stop], [*tensors[: last.start], *lists[1]], strict=True)
        ]
        return lists, tensors, given

    def parted(self, given: Sequence[Tensor]) -> tuple[Lists, list[Tensor]]:
        """The call's lists, and what follows them."""
        tensors = list(given)
        lists = []
        for length in self.lengths:
            lists.append(tensors[:length])
            del tensors[:length]
        sequences, states, rows, weights = lists
        return (sequences, states, rows, weights), tensors

    def dealt(self, found: Iterable[Any]) -> list[list[Tensor | None]]:
        """The gradients that `run_backward` gives, for each tensor of the call's lists."""
        wanted, gradients = training_of(self.program, self.wanted).wanted, iter(found)
        every = wanted.sequences, [True] * self.lengths[1], wanted.rows, wanted.weights
        return [[next(gradients) if flag else None for flag in flags] for flags in every]


def kept_of(lists: Lists, steps: int, program: str, wanted: str, packing: Packing | None = None) -> Kept:
    sequences, states, rows, weights = map(len, lists)
    return Kept(steps, program, wanted, packing, (sequences, states, rows, weights))


library.impl("run", run_forward, "CPU")
library.impl("run_backward", run_backward, "CPU")
torch.library.register_fake("recurra::run", _run_fake, lib=library)
torch.library.register_fake("recurra::run_backward", _run_backward_fake, lib=library)
