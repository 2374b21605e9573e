"""What a program means, in plain PyTorch: the ground truth of everything that compiles one, on any device and type."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from recurra.recurrence.operations import OPERATIONS
from recurra.recurrence.packing import Packing
from recurra.recurrence.program import (
    Apply,
    Node,
    Outer,
    Product,
    Program,
    Read,
    Reduce,
    Scalar,
    Span,
    Total,
    Weight,
    ancestors,
    results,
)


class Result(NamedTuple):
    """What a run leaves behind: outputs ``(T, B, width)``, last states ``(B, width)``, and the sums over the steps,
    each shaped like the block, the range or the row that it is the gradient of."""

    outputs: list[Tensor]
    states: list[Tensor]
    sums: list[Tensor]


def interpret(
    program: Program,
    sequences: Sequence[Float[Tensor, "*TB _"]],
    states: Sequence[Float[Tensor, "B _"]],
    rows: Sequence[Float[Tensor, "B _"]],
    weights: Sequence[Float[Tensor, "..."]],
    steps: int | None = None,
    packing: Packing | None = None,
) -> Result:
    """Run ``program`` over time, from the last step to the first where it is ``backwards``. Autograd goes through.

    Args:
        sequences: what changes from step to step.
        states: where the run starts.
        rows: what stays the same for each row of the batch.
        weights: matrices and vectors, the same for all rows.
        steps: T, needed where there are no sequences.
        packing: of a ragged batch, longest rows first; sequences and outputs are packed then.

    Raises:
        ValueError: neither sequences nor ``steps``.
    """
    if steps is None and not sequences:
        raise ValueError("steps must be given for a program without sequences")
    steps = len(sequences[0]) if steps is None else steps
    like = next(iter([*states, *sequences, *rows]))
    batch = like.shape[-2] if packing is None else packing.batch
    running = [batch] * steps if packing is None else packing.running
    slices = [sequence.unbind(0) if packing is None else sequence.split(running) for sequence in sequences]
    wanted = results(program)
    outputs: list[list[Tensor]] = [[] for _ in program.outputs]
    sums = [like.new_zeros(_shape(item, batch)) for item in program.sums]
    for t in reversed(range(len(running))) if program.backwards else range(len(running)):
        count = running[t]
        given = {"sequence": [each[t] for each in slices]}
        given |= {"state": [each[:count] for each in states], "row": [each[:count] for each in rows]}
        reads = [(index, node) for index, node in enumerate(program.nodes) if isinstance(node, Read)]
        known = {index: given[node.kind][node.index] for index, node in reads}
        found = evaluate(program, wanted, known, weights)
        # numbers by themselves have neither the type nor the device of the inputs
        values = {index: value.to(like).expand(count, -1) for index, value in found.items()}
        # rows that do not run, at the end of all, stay as they are
        states = [_put(values[index], old) for index, old in zip(program.next, states, strict=True)]
        for series, index in zip(outputs, program.outputs, strict=True):
            series.append(values[index])
        factor = _rounded if program.bfloat16 else _exact
        sums = [_added(total, _term(item, values, factor)) for total, item in zip(sums, program.sums, strict=True)]
    widths = [program.nodes[index].width for index in program.outputs]
    join, nothing = (torch.stack, like.new_zeros(0, batch, 1)) if packing is None else (torch.cat, like.new_zeros(0, 1))
    stacked = [
        join(series[::-1] if program.backwards else series) if series else nothing.expand(*nothing.shape[:-1], width)
        for series, width in zip(outputs, widths, strict=True)
    ]
    return Result(stacked, list(states), sums)


def _put(new: Tensor, old: Tensor) -> Tensor:
    """The old rows with the new ones in the place of the first."""
    return new if len(new) == len(old) else torch.cat([new.expand(-1, old.shape[1]), old[len(new) :]])


def _added(total: Tensor, term: Tensor) -> Tensor:
    """The total and what one step adds to its first rows."""
    return _put(total[: len(term)] + term, total)


def evaluate(
    program: Program, wanted: Iterable[int], known: Mapping[int, Tensor], weights: Sequence[Tensor]
) -> dict[int, Tensor]:
    """The values of the ``wanted`` nodes, from those ``known`` and the weights.

    Values are ``(..., width)``, one step's rows or those of all steps; what depends on nothing but
    weights and numbers comes as ``(width,)``.

    Raises:
        ValueError: a value is read that is not known.
    """
    wanted = set(wanted)
    values = dict(known)
    like = next((each for each in (*known.values(), *weights) if each.is_floating_point()), torch.empty(0))
    for index in sorted(ancestors(program, wanted, known) - known.keys()):
        values[index] = _value(program.nodes[index], values, weights, like, _rounded if program.bfloat16 else _exact)
    return {index: values[index] for index in wanted}


Factor: TypeAlias = Callable[[Tensor], Tensor]


def _exact(factor: Tensor) -> Tensor:
    return factor


def _rounded(factor: Tensor) -> Tensor:
    return factor.bfloat16().to(factor) if factor.dtype == torch.float32 else factor


def _value(node: Node, values: Mapping[int, Tensor], weights: Sequence[Tensor], like: Tensor, factor: Factor) -> Tensor:
    match node:
        case Read():
            raise ValueError(f"the value of `{node}` is not known")
        case Weight():
            return weights[node.index][_range(node.span)]
        case Scalar():
            return like.new_full((1,), node.value)
        case Apply():
            value = OPERATIONS[node.operation].meaning(*(values[index] for index in node.operands))
            return value.expand(*value.shape[:-1], node.width)
        case Product():
            block = weights[node.index][_range(node.rows), _range(node.columns)]
            value = values[node.operand]
            block = block.to(value) if block.dtype == torch.int8 else block
            return F.linear(factor(value), factor(block.T if node.transposed else block))
        case Reduce():
            value = values[node.operand]
            return value.sum(-1, keepdim=True) if node.operation == "sum" else value.amax(-1, keepdim=True)


def _term(item: Outer | Total, values: Mapping[int, Tensor], factor: Factor) -> Tensor:
    """What one step adds to a sum."""
    if isinstance(item, Outer):
        return factor(values[item.left]).T @ factor(values[item.right])
    value = values[item.operand]
    if item.span.size == 1:
        value = value.sum(1, keepdim=True)
    return value.sum(0) if item.kind == "weight" else value


def _shape(item: Outer | Total, batch: int) -> tuple[int, ...]:
    if isinstance(item, Outer):
        return item.rows.size, item.columns.size
    return (item.span.size,) if item.kind == "weight" else (batch, item.span.size)


def _range(span: Span) -> slice:
    return slice(span.start, span.start + span.size)
