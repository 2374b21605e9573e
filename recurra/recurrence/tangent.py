"""The tangent of a program: a step that carries derivatives along one direction forward in time, beside the values."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, TypeVar

from recurra.recurrence.graph import Graph, Value
from recurra.recurrence.operations import OPERATIONS
from recurra.recurrence.program import Apply, Node, Product, Program, Read, Reduce, Weight

T = TypeVar("T")


class Moving(NamedTuple):
    """Which of a program's inputs have a tangent; its states always do."""

    sequences: tuple[bool, ...]
    rows: tuple[bool, ...]
    weights: tuple[bool, ...]


@lru_cache(maxsize=512)
def with_tangent(program: Program, moving: Moving) -> Program:
    """The step over values and tangents.

    The tangents of the moving sequences, of all states, and of the moving rows and weights follow the program's own;
    the outputs are followed by theirs. It is a program like any other, with an adjoint of its own.
    """
    tangents = _Tangents(program, moving)
    carried = [tangents.whole(node).index for node in program.next]
    leaving = [tangents.whole(node).index for node in program.outputs]
    return replace(
        program,
        sequences=program.sequences + _moving(program.sequences, moving.sequences),
        states=program.states * 2,
        rows=program.rows + _moving(program.rows, moving.rows),
        weights=program.weights + _moving(program.weights, moving.weights),
        nodes=tuple(tangents.graph.nodes),
        next=(*program.next, *carried),
        outputs=(*program.outputs, *leaving),
    )


def _moving(every: tuple[T, ...], flags: tuple[bool, ...]) -> tuple[T, ...]:
    return tuple(each for each, flag in zip(every, flags, strict=True) if flag)


class _Tangents:
    """The tangent of each node, None where it is zero; behind the program's own nodes in their graph."""

    def __init__(self, program: Program, moving: Moving) -> None:
        self.graph = Graph(program.nodes)
        every = {"sequence": moving.sequences, "state": (True,) * len(program.states), "row": moving.rows}
        self._places = {kind: _places(flags) for kind, flags in {**every, "weight": moving.weights}.items()}
        self._known: list[Value | None] = []
        for index, node in enumerate(program.nodes):
            self._known.append(self._wide(self._tangent(index, node), node.width))

    def whole(self, index: int) -> Value:
        """The tangent of a node, as wide as the node."""
        width = self.graph.nodes[index].width
        known = self._known[index]
        return self._broadcast(self.graph.scalar(0.0), width) if known is None else known

    def _wide(self, value: Value | None, width: int) -> Value | None:
        return value if value is None or value.width == width else self._broadcast(value, width)

    def _broadcast(self, value: Value, width: int) -> Value:
        if width == 1:
            return value
        return self.graph.add(Apply("mul", (value.index, self.graph.scalar(1.0).index), width))

    def _tangent(self, index: int, node: Node) -> Value | None:
        graph = self.graph
        match node:
            case Read():
                place = self._places[node.kind].get(node.index)
                return None if place is None else graph.read(node.kind, place, node.width)
            case Weight():
                place = self._places["weight"].get(node.index)
                return None if place is None else graph.weight(place, node.span)
            case Apply() | Product():
                return _total(self._parts(index, node))
            case Reduce():
                part, operand = self._known[node.operand], Value(graph, node.operand)
                if part is None or node.operation == "sum":
                    return None if part is None else graph.reduce("sum", part)
                # equal maxima share it, as in the gradient
                winners = operand.apply("eq", Value(graph, index))
                return graph.reduce("sum", winners * part) / graph.reduce("sum", winners)
        return None

    def _parts(self, index: int, node: Apply | Product) -> Iterator[Value | None]:
        graph = self.graph
        if isinstance(node, Product):
            part, block = self._known[node.operand], (node.rows, node.columns, node.transposed)
            if part is not None:
                yield graph.product(part, node.index, *block)
            place = self._places["weight"].get(node.index)
            if place is not None:
                yield graph.product(Value(graph, node.operand), place, *block)
            return
        values = [Value(graph, operand) for operand in node.operands]
        for place, operand in enumerate(node.operands):
            part = self._known[operand]
            if part is not None:
                # an element depends on its own operands alone: the derivative, as a matrix, is its own transpose
                yield OPERATIONS[node.operation].gradient(part, Value(graph, index), *values)[place]


def _places(flags: tuple[bool, ...]) -> dict[int, int]:
    """Where the tangents of the moving inputs stand among all."""
    moving = [index for index, flag in enumerate(flags) if flag]
    return {index: len(flags) + number for number, index in enumerate(moving)}


def _total(parts: Iterator[Value | None]) -> Value | None:
    total = None
    for part in parts:
        if part is not None:
            total = part if total is None else total + part
    return total
