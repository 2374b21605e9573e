"""What the compiler does with a cell, in words: the stages of its loop, or what keeps it from having one."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from recurra.recurrence.fused import Plan
from recurra.recurrence.gradient import Wanted, differentiate
from recurra.recurrence.lower import Lowered
from recurra.recurrence.program import Outer, Product, Program, Reduce, Total
from recurra.recurrence.schedule import Schedule, schedule


class Explanation(NamedTuple):
    """How a layer runs.

    Args:
        path: "cpu", the compiled loop, or "reference", the cell called step by step.
        reason: why the reference; None where the loop is compiled.
        text: all of it, to be read.
    """

    path: str
    reason: str | None
    text: str

    def __str__(self) -> str:
        return self.text


def explain(name: str, plan: Plan, obstacle: str | None) -> Explanation:
    """Say how calls of one kind run.

    Args:
        name: of the cell.
        obstacle: what stands in the way of any compiled loop here.
    """
    reason = obstacle or (str(plan.fault) if plan.fault is not None else None)
    if reason is not None:
        return Explanation("reference", reason, f"{name} runs step by step, by the reference: {reason}")
    assert plan.lowered is not None
    return Explanation("cpu", None, "\n".join([f"{name} runs as one compiled loop on the CPU", *_lines(plan.lowered)]))


def _lines(lowered: Lowered) -> Iterator[str]:
    program = lowered.program
    names = _names(lowered)
    every = Wanted(*((True,) * len(group) for group in (program.sequences, program.weights, program.rows)))
    adjoint = differentiate(program, every)
    remembered = adjoint.forward.outputs[len(program.outputs) :]
    if lowered.calls:
        yield f"  invariant   {len(lowered.calls)} operations on parameters alone, made by torch once a call"
    yield from _half(program, names)
    yield "  training"
    widths = Counter(adjoint.forward.nodes[node].width for node in remembered)
    values = ", ".join(f"{count} values of width {width}" for width, count in widths.items()) or "nothing"
    states = sorted({source.number for source in adjoint.sources if source.kind == "previous"})
    kept = f" and {_counted(len(states), 'state')}" if states else ""
    yield f"  remembered  {values}{kept}, at each step"
    yield from _half(adjoint.backward, names)


def _half(program: Program, names: list[str]) -> Iterator[str]:
    cut = schedule(program)
    yield from _outside("hoisted", cut, cut.hoisted, names, "before the loop, all steps at once")
    for number, stage in enumerate(cut.stages, 1):
        products = [part for group in stage.groups for parts in group.products.values() for part in parts]
        equations = sum(len(group.nodes) for group in stage.groups)
        parts = [_products(cut.program, products, names), _counted(len(stage.reduces), "reduction")]
        parts.append(_counted(equations, "equation"))
        yield f"  stage {number}     {', then '.join(part for part in parts if part)}"
    yield from _outside("deferred", cut, cut.deferred, names, "after the loop, all steps at once")
    outers = [item for item in program.sums if isinstance(item, Outer)]
    totals = [item for item in program.sums if isinstance(item, Total)]
    if outers:
        matrices = ", ".join(dict.fromkeys(names[item.index] for item in outers))
        yield f"  deferred    gradients of {matrices}: {_counted(len(outers), 'product')} over all steps"
    if totals:
        inside = len(cut.carried)
        yield f"  sums        {_counted(len(totals), 'gradient')} of vectors, {inside} of them within the loop"


def _outside(kind: str, cut: Schedule, nodes: tuple[int, ...], names: list[str], when: str) -> Iterator[str]:
    products = [node for node in nodes if isinstance(cut.program.nodes[node], Product)]
    reductions = sum(isinstance(cut.program.nodes[node], Reduce) for node in nodes)
    parts = [_products(cut.program, products, names), _counted(reductions, "reduction")]
    if any(parts):
        yield f"  {kind:10}  {', '.join(part for part in parts if part)}; {when}"


def _products(program: Program, nodes: list[int], names: list[str]) -> str:
    """The matrices of some products, with their shapes."""
    found = []
    for index in nodes:
        node = program.nodes[index]
        assert isinstance(node, Product)
        transposed = "ᵀ" if node.transposed else ""
        found.append(f"{names[node.index]}{transposed} ({node.width} × {node.depth})")
    return f"{_counted(len(nodes), 'product')} with {', '.join(found)}" if found else ""


def _counted(number: int, what: str) -> str:
    return "" if number == 0 else f"{number} {what}" if number == 1 else f"{number} {what}s"


def _names(lowered: Lowered) -> list[str]:
    """What the program's weights are called in the cell."""
    called = {view.storage: name for name, view in lowered.trace.named.items()}
    return [called.get(source.view.storage, "an invariant") for source in lowered.sources]
