"""Ragged rows and resets as part of a step: programs that freeze a row past its end and send it back to its start."""

from dataclasses import replace

from recurra.recurrence.graph import Graph, Value
from recurra.recurrence.program import Apply, Node, Product, Program, Read, Reduce


def with_lengths(program: Program) -> Program:
    """The step with one more sequence, 1 while a row is running: past its end its state stays and its outputs are 0."""
    graph, values = copied(program, {})
    running = graph.read("sequence", len(program.sequences), 1)
    states = [graph.read("state", index, width) for index, width in enumerate(program.states)]
    frozen = [running.apply("where", values[new], old) for new, old in zip(program.next, states, strict=True)]
    outputs = [running.apply("where", values[output], 0.0) for output in program.outputs]
    return replace(
        program,
        sequences=(*program.sequences, 1),
        nodes=tuple(graph.nodes),
        next=tuple(value.index for value in frozen),
        outputs=tuple(value.index for value in outputs),
    )


def with_reset(program: Program) -> Program:
    """The step with one more sequence, 1 where a row first goes back to its start, and the starts as rows."""
    graph = Graph()
    reset = graph.read("sequence", len(program.sequences), 1)
    first = len(program.rows)
    reads: dict[Node, Value] = {}
    for index, width in enumerate(program.states):
        start, old = graph.read("row", first + index, width), graph.read("state", index, width)
        reads[Read("state", index, width)] = reset.apply("where", start, old)
    graph, values = copied(program, reads, graph)
    return replace(
        program,
        sequences=(*program.sequences, 1),
        rows=(*program.rows, *program.states),
        nodes=tuple(graph.nodes),
        next=tuple(values[new].index for new in program.next),
        outputs=tuple(values[output].index for output in program.outputs),
    )


def copied(program: Program, instead: dict[Node, Value], graph: Graph | None = None) -> tuple[Graph, list[Value]]:
    """The program's nodes in a graph that can grow, with some of them replaced; the new value of every node."""
    graph = graph or Graph()
    values: list[Value] = []
    for node in program.nodes:
        values.append(instead.get(node) or graph.add(moved(node, values)))
    return graph, values


def moved(node: Node, values: list[Value]) -> Node:
    """The node with the values that its operands have become."""
    match node:
        case Apply():
            return replace(node, operands=tuple(values[operand].index for operand in node.operands))
        case Product() | Reduce():
            return replace(node, operand=values[node.operand].index)
        case _:
            return node
