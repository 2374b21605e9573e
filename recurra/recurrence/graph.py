"""Building programs: values that are written with Python's operators, each distinct node kept once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Union

from recurra.recurrence.program import Apply, Node, Product, Read, Reduce, Scalar, Span, Weight

Operand = Union["Value", float, int]


class Graph:
    """The nodes of a program under construction; those of another, to begin with."""

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.nodes: list[Node] = list(nodes)
        self._index = {node: index for index, node in enumerate(self.nodes)}

    def add(self, node: Node) -> "Value":
        """The value of ``node``, the same for equal nodes."""
        if node not in self._index:
            self._index[node] = len(self.nodes)
            self.nodes.append(node)
        return Value(self, self._index[node])

    def scalar(self, value: float | int) -> "Value":
        return self.add(Scalar(float(value)))

    def read(self, kind: str, index: int, width: int) -> "Value":
        return self.add(Read(kind, index, width))

    def weight(self, index: int, span: Span) -> "Value":
        return self.add(Weight(index, span))

    def product(self, operand: "Value", index: int, rows: Span, columns: Span, transposed: bool = False) -> "Value":
        """Raises ValueError where the operand's width is not the matrix's."""
        node = Product(operand.index, index, rows, columns, transposed)
        if node.depth != operand.width:
            raise ValueError(f"{node} wants {node.depth} features, got {operand.width}")
        return self.add(node)

    def reduce(self, operation: str, operand: "Value") -> "Value":
        return operand if operand.width == 1 else self.add(Reduce(operation, operand.index))

    def apply(self, operation: str, *operands: Operand) -> "Value":
        """An operation of ``operations.OPERATIONS`` on each element.

        Raises:
            ValueError: operands whose widths are neither equal nor 1.
        """
        values = [operand if isinstance(operand, Value) else self.scalar(operand) for operand in operands]
        simple = _simplified(operation, values)
        if simple is not None:
            return simple
        widths = {value.width for value in values} - {1}
        if len(widths) > 1:
            raise ValueError(f"{operation} of values that are {' and '.join(map(str, sorted(widths)))} wide")
        return self.add(Apply(operation, tuple(value.index for value in values), max(widths, default=1)))


@dataclass(frozen=True, eq=False)
class Value:
    """A node of a graph, ``width`` features for each row of the batch."""

    graph: Graph
    index: int

    @property
    def node(self) -> Node:
        return self.graph.nodes[self.index]

    @property
    def width(self) -> int:
        return self.node.width

    def __add__(self, other: Operand) -> "Value":
        return self.graph.apply("add", self, other)

    def __radd__(self, other: float | int) -> "Value":
        return self.graph.apply("add", other, self)

    def __sub__(self, other: Operand) -> "Value":
        return self.graph.apply("sub", self, other)

    def __rsub__(self, other: float | int) -> "Value":
        return self.graph.apply("sub", other, self)

    def __mul__(self, other: Operand) -> "Value":
        return self.graph.apply("mul", self, other)

    def __rmul__(self, other: float | int) -> "Value":
        return self.graph.apply("mul", other, self)

    def __truediv__(self, other: Operand) -> "Value":
        return self.graph.apply("div", self, other)

    def __rtruediv__(self, other: float | int) -> "Value":
        return self.graph.apply("div", other, self)

    def __neg__(self) -> "Value":
        return self.graph.apply("neg", self)

    def apply(self, operation: str, *others: Operand) -> "Value":
        return self.graph.apply(operation, self, *others)

    def number(self) -> float | None:
        """Its value where it is a number."""
        return self.node.value if isinstance(self.node, Scalar) else None


def _simplified(operation: str, values: list[Value]) -> Value | None:
    """What an operation with a neutral element comes to."""
    if operation not in ("add", "sub", "mul", "div"):
        return None
    left, right = values
    neutral = 0.0 if operation in ("add", "sub") else 1.0
    if right.number() == neutral:
        return left
    if left.number() == neutral and operation in ("add", "mul"):
        return right
    return None
