"""Sums in which products come first: what is added to them is added once, after all of them."""

from collections import Counter
from dataclasses import replace

from recurra.recurrence.graph import Graph, Value
from recurra.recurrence.masks import moved
from recurra.recurrence.program import Apply, Outer, Product, Program, operands, results


def products_first(program: Program) -> Program:
    """The program with each sum of several products and other terms reordered, so that one tile can accumulate all of
    its products. Rounding differs."""
    readers = Counter(operand for node in program.nodes for operand in operands(node))
    readers.update(results(program))
    inner = {
        operand
        for node in program.nodes
        if _is_sum(node)
        for operand in operands(node)
        if readers[operand] == 1 and _is_sum(program.nodes[operand]) and program.nodes[operand].width == node.width
    }
    graph, values = Graph(), list[Value]()
    for index, node in enumerate(program.nodes):
        terms = _terms(program, index, inner) if _is_sum(node) and index not in inner else []
        products = [values[term] for term in terms if isinstance(program.nodes[term], Product)]
        if len(products) > 1:
            others = [values[term] for term in terms if not isinstance(program.nodes[term], Product)]
            first, *more = [*products, *others]
            values.append(sum(more, start=first))
        else:
            values.append(graph.add(moved(node, values)))
    return replace(
        program,
        nodes=tuple(graph.nodes),
        next=tuple(values[node].index for node in program.next),
        outputs=tuple(values[node].index for node in program.outputs),
        sums=tuple(
            replace(item, left=values[item.left].index, right=values[item.right].index)
            if isinstance(item, Outer)
            else replace(item, operand=values[item.operand].index)
            for item in program.sums
        ),
    )


def _is_sum(node: object) -> bool:
    return isinstance(node, Apply) and node.operation == "add"


def _terms(program: Program, index: int, inner: set[int]) -> list[int]:
    """What a sum adds up, through the sums that only it reads."""
    found = []
    for operand in operands(program.nodes[index]):
        found += _terms(program, operand, inner) if operand in inner else [operand]
    return found
