"""The compiler's language: one step of a recurrence as a small graph over values of shape (batch, width).

A program has no loops and no time in it: it says what one step computes from the step's inputs, from the state of the
step before, and from what stays the same. Its text is canonical: equal programs print alike, and `parse` reads it back.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Span(NamedTuple):
    """``size`` rows or columns of a weight, from ``start`` on."""

    start: int
    size: int

    def __str__(self) -> str:
        return f"{self.start}:{self.start + self.size}"


@dataclass(frozen=True, slots=True)
class Read:
    """A value given to the step whole: ``kind`` is "sequence" (another at each step), "state" (what the step before
    left) or "row" (of the batch, the same at each step: where a row starts)."""

    kind: str
    index: int
    width: int

    def __str__(self) -> str:
        return f"{self.kind} {self.index} : {self.width}"


@dataclass(frozen=True, slots=True)
class Weight:
    """A range of a weight vector, the same for all rows and steps; of width 1 it is a scalar."""

    index: int
    span: Span

    @property
    def width(self) -> int:
        return self.span.size

    def __str__(self) -> str:
        return f"weight {self.index} [{self.span}]"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number."""

    value: float
    width: int = 1

    def __str__(self) -> str:
        return f"scalar {float(self.value)!r}"


@dataclass(frozen=True, slots=True)
class Apply:
    """An operation on each element; operands of width 1 are broadcast over the features."""

    operation: str
    operands: tuple[int, ...]
    width: int

    def __str__(self) -> str:
        return f"{self.operation} {_ids(self.operands)} : {self.width}"


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix times a value, ``M @ value`` for each row of the batch; M is a block of a weight or its transpose."""

    operand: int
    index: int
    rows: Span
    columns: Span
    transposed: bool

    @property
    def width(self) -> int:
        return self.columns.size if self.transposed else self.rows.size

    @property
    def depth(self) -> int:
        """The width of the operand."""
        return self.rows.size if self.transposed else self.columns.size

    def __str__(self) -> str:
        kind = "transposed" if self.transposed else "product"
        return f"{kind} {self.index} [{self.rows}, {self.columns}] %{self.operand}"


@dataclass(frozen=True, slots=True)
class Reduce:
    """The "sum" or "max" over the features of a row."""

    operation: str
    operand: int
    width: int = 1

    def __str__(self) -> str:
        return f"reduce {self.operation} %{self.operand}"


Node = Read | Weight | Scalar | Apply | Product | Reduce


@dataclass(frozen=True, slots=True)
class Outer:
    """A gradient of a block of a weight matrix: the sum over rows and steps of ``left`` times ``right`` transposed."""

    index: int
    rows: Span
    columns: Span
    left: int
    right: int

    def __str__(self) -> str:
        return f"outer {self.index} [{self.rows}, {self.columns}] %{self.left} %{self.right}"


@dataclass(frozen=True, slots=True)
class Total:
    """A gradient of a range of a weight vector ("weight", summed over rows and steps) or of a "row" (over steps).

    Where the range has one element and the value more, the value is summed over its features as well.
    """

    kind: str
    index: int
    span: Span
    operand: int

    def __str__(self) -> str:
        return f"total {self.kind} {self.index} [{self.span}] %{self.operand}"


@dataclass(frozen=True)
class Program:
    """One step of a recurrence.

    Args:
        sequences: widths of the inputs that change from step to step.
        states: widths of the tensors that one step hands to the next.
        rows: widths of the tensors ``(batch, width)`` that stay the same.
        weights: shapes of the matrices and vectors that stay the same for all rows.
        nodes: the graph, operands before their uses.
        next: the node that becomes each state.
        outputs: nodes whose values at every step are given back as sequences.
        sums: what is accumulated over the steps (the gradients of what stays the same).
        backwards: whether the steps are taken from the last to the first.
        bfloat16: whether products are of weights and operands rounded to bfloat16; their sums, and all else, are not.
        gathered: whether products of inputs are taken in the loop, added up with those of states; else before it, for
            all steps at once. The sums are the same, to rounding.
        int8: the weights, matrices that only products read, whose numbers are int8.
    """

    sequences: tuple[int, ...]
    states: tuple[int, ...]
    rows: tuple[int, ...]
    weights: tuple[tuple[int, ...], ...]
    nodes: tuple[Node, ...]
    next: tuple[int, ...]
    outputs: tuple[int, ...]
    sums: tuple[Outer | Total, ...] = ()
    backwards: bool = False
    bfloat16: bool = False
    gathered: bool = False
    int8: tuple[int, ...] = ()
    text: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", "\n".join(_lines(self)))

    def __str__(self) -> str:
        return self.text

    def __hash__(self) -> int:
        return hash(self.text)


def operands(node: Node) -> tuple[int, ...]:
    """The nodes that ``node`` is computed from."""
    match node:
        case Apply():
            return node.operands
        case Product() | Reduce():
            return (node.operand,)
        case _:
            return ()


def uses(item: Outer | Total) -> tuple[int, ...]:
    """The nodes that a sum is taken of."""
    return (item.left, item.right) if isinstance(item, Outer) else (item.operand,)


def results(program: Program) -> set[int]:
    """The nodes that a step is computed for."""
    return {*program.next, *program.outputs, *(node for item in program.sums for node in uses(item))}


def ancestors(program: Program, roots: Iterable[int], known: Container[int] = ()) -> set[int]:
    """All nodes that ``roots`` are computed from, themselves included, going no further back than the ``known``."""
    found = set(roots)
    for index in reversed(range(len(program.nodes))):
        if index in found and index not in known:
            found.update(operands(program.nodes[index]))
    return found


def _ids(nodes: tuple[int, ...]) -> str:
    return " ".join(f"%{node}" for node in nodes)


def _lines(program: Program) -> Iterator[str]:
    yield " ".join(["step", *(name for name in ("backwards", "bfloat16", "gathered") if getattr(program, name))])
    for name in ("sequences", "states", "rows"):
        yield " ".join([name, *map(str, getattr(program, name))])
    yield " ".join(["weights", *("x".join(map(str, shape)) for shape in program.weights)])
    if program.int8:
        yield " ".join(["int8", *map(str, program.int8)])
    for index, node in enumerate(program.nodes):
        yield f"%{index} = {node}"
    yield f"next {_ids(program.next)}".strip()
    yield f"outputs {_ids(program.outputs)}".strip()
    yield from map(str, program.sums)
