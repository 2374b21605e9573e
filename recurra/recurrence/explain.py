"""What the compiler does with a cell, in words: the stages of its loop, or what keeps it from having one."""

import os
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from recurra.recurrence.advice import advice
from recurra.recurrence.fused import Plan
from recurra.recurrence.gradient import Adjoint, Wanted, differentiate
from recurra.recurrence.lower import Lowered, views_in
from recurra.recurrence.program import Outer, Product, Program, Reduce
from recurra.recurrence.record import Place
from recurra.recurrence.schedule import Schedule, schedule

WIDTH = 110
"""Columns of the text."""


class Explanation(NamedTuple):
    """How a layer runs.

    Args:
        path: "cpu", the compiled loop, or "reference", the cell called step by step.
        reason: why the reference; None where the loop is compiled.
        text: all of it, to be read.
        program: the step, where the loop is compiled; its ``text`` can be read too.
        adjoint: the step that carries gradients back, with gradients of everything wanted; None with weights of int8.
    """

    path: str
    reason: str | None
    text: str
    program: Program | None = None
    adjoint: Program | None = None

    def __str__(self) -> str:
        return self.text


def explain(name: str, plan: Plan, obstacle: str | None) -> Explanation:
    """Say how calls of one kind run.

    Args:
        name: of the cell.
        obstacle: what stands in the way of any compiled loop here.
    """
    if obstacle is not None:
        return Explanation("reference", obstacle, _text(_by_the_reference(name, obstacle)))
    if plan.fault is not None:
        fault = plan.fault
        text = _text(_by_the_reference(name, fault.reason, fault.operation, fault.place))
        return Explanation("reference", str(fault), text)
    assert plan.lowered is not None
    program = plan.lowered.program
    every = Wanted(*((True,) * len(group) for group in (program.sequences, program.weights, program.rows)))
    adjoint = None if program.int8 else differentiate(program, every)
    text = _text(_compiled(name, plan.lowered, adjoint))
    return Explanation("cpu", None, text, program, None if adjoint is None else adjoint.backward)


Line = tuple[str, str]
"""A label and what it says; a heading has no label."""


def _text(lines: Iterable[Line]) -> str:
    return "\n".join(_wrapped(label, words) if label else words for label, words in lines)


def _wrapped(label: str, words: str) -> str:
    return textwrap.fill(
        words, WIDTH, initial_indent=f"  {label:12}", subsequent_indent=" " * 14, break_on_hyphens=False
    )


def _by_the_reference(
    name: str, reason: str, operation: str | None = None, place: Place | None = None
) -> Iterator[Line]:
    yield "", f"{name} runs step by step in PyTorch: the same numbers, more slowly"
    yield "because", reason
    if operation is not None:
        yield "operation", operation
    if place is not None:
        beside = os.path.relpath(place.file)
        file = place.file if beside.startswith(os.pardir) else beside
        yield "at", str(place).replace(place.file, file, 1)
    yield "what to do", advice(reason)


def _compiled(name: str, lowered: Lowered, adjoint: Adjoint | None) -> Iterator[Line]:
    origins, names = _origins(lowered), _names(lowered)
    yield "", f"{name} runs as one compiled loop on the CPU"
    if lowered.calls:
        used = {view.storage for call in lowered.calls for view in views_in((call.args, call.kwargs))}
        names_used = sorted({origin for storage in used for origin in origins.get(storage, ())})
        on = _listed(names_used) or "constants"
        yield "invariant", f"once a call: {_counted(len(lowered.calls), 'operation')} on {on} alone"
    yield "", "forward, from the first step to the last"
    yield from _half(lowered.program, names)
    if adjoint is None:
        yield "", "backward: none, the weights kept as int8 are for inference"
        return
    yield "", "backward, from the last step to the first"
    yield "remembered", _remembered(lowered.program, adjoint)
    yield from _half(adjoint.backward, names)


def _remembered(program: Program, adjoint: Adjoint) -> str:
    """What the backward loop is given of each step of the forward loop."""
    nodes = adjoint.forward.outputs[len(program.outputs) :]
    widths = Counter(adjoint.forward.nodes[node].width for node in nodes)
    parts = [f"{_counted(count, 'value')} of width {width}" for width, count in widths.items()]
    states = {source.number for source in adjoint.sources if source.kind == "previous"}
    parts += [_counted(len(states), "state")] if states else []
    return f"{_listed(parts) or 'nothing'} of every step, from the forward loop"


def _half(program: Program, names: list[str]) -> Iterator[Line]:
    cut = schedule(program)
    yield from _outside("hoisted", cut, cut.hoisted, names, "before the loop (many rows: in it)")
    for number, stage in enumerate(cut.stages, 1):
        products = [part for group in stage.groups for parts in group.products.values() for part in parts]
        parts = [_products(cut.program, products, names), _counted(len(stage.reduces), "reduction over features")]
        parts.append(_counted(sum(len(group.nodes) for group in stage.groups), "element-wise operation"))
        yield f"stage {number}", ", then ".join(filter(None, parts))
    yield from _outside("deferred", cut, cut.deferred, names, "after the loop, all steps at once")
    yield from _sums(cut, names)


def _outside(kind: str, cut: Schedule, nodes: tuple[int, ...], names: list[str], when: str) -> Iterator[Line]:
    products = [node for node in nodes if isinstance(cut.program.nodes[node], Product)]
    reductions = sum(isinstance(cut.program.nodes[node], Reduce) for node in nodes)
    parts = [_products(cut.program, products, names), _counted(reductions, "reduction over features")]
    if any(parts):
        yield kind, f"{when}: {', then '.join(filter(None, parts))}"


def _sums(cut: Schedule, names: list[str]) -> Iterator[Line]:
    """The gradients of what stays the same at every step."""
    inside, products, totals = set[int](), set[int](), set[int]()
    for position, item in enumerate(cut.program.sums):
        if isinstance(item, Outer):
            products.add(item.index)
        elif item.kind == "weight":
            (inside if position in cut.carried else totals).add(item.index)
    within, after = "in the loop, added up step by step", "after the loop"
    kinds = {within: inside, f"{after}, products over all steps": products, f"{after}, sums over all steps": totals}
    for how, weights in kinds.items():
        if weights:
            yield "gradients", f"{how}: {', '.join(sorted({names[index] for index in weights}))}"


def _products(program: Program, nodes: list[int], names: list[str]) -> str:
    """The matrices of some products: those of one shape together, blocks of one weight counted."""
    shapes: dict[tuple[int, int], Counter[str]] = {}
    for index in nodes:
        node = program.nodes[index]
        assert isinstance(node, Product)
        name = names[node.index] + ("ᵀ" if node.transposed else "")
        shapes.setdefault((node.width, node.depth), Counter())[name] += 1
    found = []
    for (width, depth), counts in shapes.items():
        called = ", ".join(name if count == 1 else f"{count} × {name}" for name, count in counts.items())
        found.append(f"{called} ({width} × {depth}{' each' if counts.total() > 1 else ''})")
    return f"product{'s' if len(nodes) > 1 else ''} with {_listed(found)}" if found else ""


def _counted(number: int, what: str) -> str:
    first, _, rest = what.partition(" over ")
    words = first if number == 1 else f"{first}s"
    return "" if number == 0 else f"{number} {words}{f' over {rest}' if rest else ''}"


def _listed(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def _names(lowered: Lowered) -> list[str]:
    """What the program's weights are called in the cell; an invariant, what it is computed from."""
    called = {view.storage: name for name, view in lowered.trace.named.items()}
    origins = _origins(lowered)

    def name(storage: int) -> str:
        if storage in called:
            return called[storage]
        known = _listed(origins.get(storage, []))
        return f"an invariant of {known}" if known else "a constant"

    return [name(source.view.storage) for source in lowered.sources]


def _origins(lowered: Lowered) -> dict[int, list[str]]:
    """The parameters that each storage holds something of."""
    found: dict[int, list[str]] = {view.storage: [name] for name, view in lowered.trace.named.items()}
    for call in lowered.calls:
        given = [name for view in views_in((call.args, call.kwargs)) for name in found.get(view.storage, ())]
        for result in call.results:
            found[result.storage] = list(dict.fromkeys([*found.get(result.storage, ()), *given]))
    return found
