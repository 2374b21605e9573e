"""The adjoint of a program: the step that carries gradients back through time, written in the same language."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from recurra.recurrence.graph import Graph, Value
from recurra.recurrence.operations import OPERATIONS
from recurra.recurrence.program import (
    Apply,
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


class Wanted(NamedTuple):
    """Which of a program's inputs need gradients; its states always do."""

    sequences: tuple[bool, ...]
    weights: tuple[bool, ...]
    rows: tuple[bool, ...]


class Source(NamedTuple):
    """Where a sequence of the adjoint comes from: "sequence" (one of the program's own), "previous" (a state before
    each step), "output" (of the forward half) or "gradient" (of an output of the program)."""

    kind: str
    number: int


class Adjoint(NamedTuple):
    """A program's two halves in training.

    Args:
        forward: the program, with what has to be remembered as further outputs.
        backward: takes the steps the other way round. Its states are the gradients of the program's states; its outputs
            those of the wanted sequences, in order; its sums those of the wanted weights and rows, for a weight one at
            each place of its use. Weights and rows are the program's.
        sources: what each sequence of ``backward`` is.
    """

    forward: Program
    backward: Program
    sources: tuple[Source, ...]


def differentiate(program: Program, wanted: Wanted) -> Adjoint:
    """The gradients of a program.

    Of the values that they refer to, those are remembered that equations alone do not bring back from what the step was
    given and what is remembered anyway: no product and no reduction is done twice.
    """
    joint = _joint(program, wanted)
    forward = replace(program, outputs=program.outputs + tuple(_to_remember(program, joint)))
    backward, sources = _cut(joint, forward)
    return Adjoint(forward, backward, sources)


class _Gradients:
    """What has arrived at each node, kept apart by width: where a node of width 1 was broadcast, that is wider."""

    def __init__(self, program: Program) -> None:
        self.graph = Graph(program.nodes)
        self.parts: defaultdict[int, dict[int, Value]] = defaultdict(dict)

    def add(self, index: int, part: Value) -> None:
        parts = self.parts[index]
        parts[part.width] = parts[part.width] + part if part.width in parts else part

    def total(self, index: int) -> Value:
        """The gradient of a node, as wide as the node; zero where nothing has arrived."""
        width = self.graph.nodes[index].width
        parts = self.parts[index].values()
        total = sum((self.graph.reduce("sum", part) if width == 1 else part for part in parts), self.graph.scalar(0.0))
        if total.width == width:
            return total
        return self.graph.add(Apply("mul", (total.index, self.graph.scalar(1.0).index), width))


def _joint(program: Program, wanted: Wanted) -> Program:
    """The program's graph continued by its gradients, which begin at reads of kind "gradient" (of an output) and
    "carried" (from the step after, of a state)."""
    gradients = _Gradients(program)
    graph = gradients.graph
    for kind, nodes in (("gradient", program.outputs), ("carried", program.next)):
        for number, index in enumerate(nodes):
            gradients.add(index, graph.read(kind, number, program.nodes[index].width))
    sums: list[Outer | Total] = []
    for index in reversed(range(len(program.nodes))):
        if index in gradients.parts:
            sums += _propagate(gradients, index, wanted)

    def of_input(kind: str, number: int, width: int) -> int:
        return gradients.total(graph.read(kind, number, width).index).index

    carried = tuple(of_input("state", number, width) for number, width in enumerate(program.states))
    widths = enumerate(program.sequences)
    outputs = tuple(of_input("sequence", number, width) for number, width in widths if wanted.sequences[number])
    return replace(
        program,
        nodes=tuple(graph.nodes),
        next=carried,
        outputs=outputs,
        sums=tuple(sums),
        backwards=not program.backwards,
        gathered=False,
    )


def _propagate(gradients: _Gradients, index: int, wanted: Wanted) -> Iterator[Outer | Total]:
    """Hand the gradient of a node on to its operands, or to the sum that it adds to."""
    graph, node = gradients.graph, gradients.graph.nodes[index]
    match node:
        case Apply():
            values = [Value(graph, operand) for operand in node.operands]
            parts = OPERATIONS[node.operation].gradient(gradients.total(index), Value(graph, index), *values)
            for operand, part in zip(node.operands, parts, strict=True):
                if part is not None:
                    gradients.add(operand, part)
        case Product():
            g = gradients.total(index)
            gradients.add(node.operand, graph.product(g, node.index, node.rows, node.columns, not node.transposed))
            if wanted.weights[node.index]:
                left, right = (node.operand, g.index) if node.transposed else (g.index, node.operand)
                yield Outer(node.index, node.rows, node.columns, left, right)
        case Reduce(operation="sum"):
            gradients.add(node.operand, gradients.total(index))
        case Reduce():
            # equal maxima share it, as in torch.amax
            winners = Value(graph, node.operand).apply("eq", Value(graph, index))
            gradients.add(node.operand, winners * (gradients.total(index) / graph.reduce("sum", winners)))
        case Weight() if wanted.weights[node.index]:
            # a sum that has one element takes a value of any width
            whole = [gradients.total(index)] if node.width > 1 else gradients.parts[index].values()
            yield from (Total("weight", node.index, node.span, part.index) for part in whole)
        case Read(kind="row") if wanted.rows[node.index]:
            yield Total("row", node.index, Span(0, node.width), gradients.total(index).index)


def _to_remember(program: Program, joint: Program) -> Iterator[int]:
    """The nodes of ``program``, beside its outputs, whose values its gradients cannot do without."""
    needed = ancestors(joint, results(joint), known=range(len(program.nodes)))
    # computed again, by other instructions, it may differ in the last bit, and nothing would equal the maximum
    compared = {node.operand for node in program.nodes if isinstance(node, Reduce) and node.operation == "max"}
    at_hand = set(program.outputs)
    for index, node in enumerate(program.nodes):
        known = isinstance(node, Apply) and at_hand.issuperset(node.operands) and index not in compared & needed
        if known or isinstance(node, Read | Weight | Scalar):
            at_hand.add(index)
        elif index in needed and index not in at_hand:
            at_hand.add(index)
            yield index


def _cut(joint: Program, forward: Program) -> tuple[Program, tuple[Source, ...]]:
    """The gradients by themselves: what they refer to is read, or computed again from what is read."""
    graph = Graph()
    sources: list[Source] = []
    moved: dict[int, int] = {}

    def sequence(kind: str, number: int, width: int) -> Value:
        sources.append(Source(kind, number))
        return graph.read("sequence", len(sources) - 1, width)

    def move(index: int) -> Value:
        match node := joint.nodes[index]:
            case Weight() | Scalar() | Read(kind="row"):
                return graph.add(node)
            case Read(kind="carried"):
                return graph.read("state", node.index, node.width)
            case Read():
                return sequence("previous" if node.kind == "state" else node.kind, node.index, node.width)
            case _ if index in remembered:
                return sequence("output", remembered[index], node.width)
            case Apply():
                return graph.add(replace(node, operands=tuple(moved[operand] for operand in node.operands)))
            case Product() | Reduce():
                return graph.add(replace(node, operand=moved[node.operand]))

    remembered = {index: number for number, index in enumerate(forward.outputs)}
    for index in sorted(ancestors(joint, results(joint), known=remembered)):
        moved[index] = move(index).index
    return replace(
        joint,
        sequences=tuple(node.width for node in graph.nodes if isinstance(node, Read) and node.kind == "sequence"),
        nodes=tuple(graph.nodes),
        next=tuple(moved[index] for index in joint.next),
        outputs=tuple(moved[index] for index in joint.outputs),
        sums=tuple(_moved(item, moved) for item in joint.sums),
    ), tuple(sources)


def _moved(item: Outer | Total, moved: dict[int, int]) -> Outer | Total:
    if isinstance(item, Outer):
        return replace(item, left=moved[item.left], right=moved[item.right])
    return replace(item, operand=moved[item.operand])
