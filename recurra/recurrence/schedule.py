"""When each node of a program is computed: for all steps at once before the loop, in it, or for all at once after it.

- *hoisted*: products of what does not depend on the state, and what they need. One big product for all steps.
- the *loop*, cut into stages. A stage starts with products (or reductions) of what was computed before it, and goes on
  with the equations that follow from them, one group for each width.
- *deferred*: products that no later step waits for, and what follows from them; the gradients of weights.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import NamedTuple

from recurra.recurrence.gather import products_first
from recurra.recurrence.graph import Graph, Value
from recurra.recurrence.masks import copied, moved
from recurra.recurrence.program import (
    Apply,
    Outer,
    Product,
    Program,
    Read,
    Reduce,
    Scalar,
    Total,
    Weight,
    ancestors,
    operands,
    uses,
)


class Group(NamedTuple):
    """Equations of one width within a stage.

    Args:
        width: how many features.
        products: the products to begin with, each the sum of one or more Product nodes, by the node that holds the sum.
        nodes: the equations, operands first.
        stores: nodes that this group must leave in memory.
    """

    width: int
    products: dict[int, tuple[int, ...]]
    nodes: tuple[int, ...]
    stores: tuple[int, ...]


class Stage(NamedTuple):
    """What can be computed without waiting for other units: first reductions, then each group with its products."""

    reduces: tuple[int, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, eq=False)
class Schedule:
    """A program, cut up. Two schedules are never equal: what follows from one can be kept by it.

    Args:
        program: the program; sums that are taken within the loop have become states of it.
        hoisted: nodes computed for all steps before the loop.
        entering: those of them that the loop reads.
        stages: the loop.
        leaving: nodes whose values at all steps leave the loop.
        deferred: nodes computed for all steps after the loop.
        carried: the state that each sum taken within the loop became, by the sum's position.
    """

    program: Program
    hoisted: tuple[int, ...]
    entering: tuple[int, ...]
    stages: tuple[Stage, ...]
    leaving: tuple[int, ...]
    deferred: tuple[int, ...]
    carried: dict[int, int]


def schedule(program: Program, *, single: bool = False) -> Schedule:
    """Cut ``program`` up.

    Args:
        single: for one step: every product stays in the loop, and each by itself.
    """
    inside = program.gathered and not single
    program = _copied_results(products_first(program) if inside else program)
    if not single:
        program = _copied_states(program, _deferred(program))
    deferred = set() if single else _deferred(program)
    hoisted = set() if single or inside else _hoisted(program, deferred)
    leaving = _leaving(program, hoisted, deferred)
    program, carried = _carry(program, hoisted | deferred | leaving)
    computed = _inside(program, leaving, hoisted)
    entering = {operand for node in computed for operand in operands(program.nodes[node]) if operand in hoisted}
    return Schedule(
        program,
        tuple(sorted(hoisted)),
        tuple(sorted(entering)),
        _stages(program, computed, leaving, merge=not single, late=inside),
        tuple(sorted(leaving)),
        tuple(sorted(deferred)),
        carried,
    )


def is_leaf(program: Program, node: int) -> bool:
    """Whether a node is given, not computed."""
    return isinstance(program.nodes[node], Read | Weight | Scalar)


def _copied_results(program: Program) -> Program:
    """The program with a copy of every state or output that is merely given, or narrower than the state it becomes."""
    graph, values = copied(program, {})
    new = []
    for index, (node, width) in enumerate(zip(program.next, program.states, strict=True)):
        plain = program.nodes[node].width == width and not is_leaf(program, node)
        old = graph.read("state", index, width)
        new.append(values[node] if plain else graph.apply("where", 1.0, values[node], old))
    given = [is_leaf(program, node) for node in program.outputs]
    outputs = [
        graph.apply("where", 1.0, values[node], 0.0) if leaf else values[node]
        for node, leaf in zip(program.outputs, given, strict=True)
    ]
    return replace(
        program,
        nodes=tuple(graph.nodes),
        next=tuple(value.index for value in new),
        outputs=tuple(value.index for value in outputs),
    )


def _copied_states(program: Program, deferred: set[int]) -> Program:
    """The program with a copy of every state for what reads it after the loop, where states are known no more."""
    graph = Graph()
    inside: list[Value] = []
    after: list[Value] = []
    for index, node in enumerate(program.nodes):
        value = graph.add(moved(node, after if index in deferred else inside))
        inside.append(value)
        is_state = isinstance(node, Read) and node.kind == "state"
        after.append(graph.apply("where", 1.0, value, value) if is_state else value)
    return replace(
        program,
        nodes=tuple(graph.nodes),
        next=tuple(inside[node].index for node in program.next),
        outputs=tuple(inside[node].index for node in program.outputs),
        sums=tuple(
            replace(item, left=after[item.left].index, right=after[item.right].index)
            if isinstance(item, Outer)
            else replace(item, operand=inside[item.operand].index)
            for item in program.sums
        ),
    )


def _of_state(program: Program) -> set[int]:
    """Nodes that depend on the step before."""
    found: set[int] = set()
    for index, node in enumerate(program.nodes):
        if isinstance(node, Read) and node.kind == "state" or not found.isdisjoint(operands(node)):
            found.add(index)
    return found


def _deferred(program: Program) -> set[int]:
    """Products that no state depends on, and what follows from them."""
    waited_for, of_state = ancestors(program, {*program.next}), _of_state(program)
    found: set[int] = set()
    for index, node in enumerate(program.nodes):
        begins = isinstance(node, Product) and index in of_state
        if index not in waited_for and (begins or not found.isdisjoint(operands(node))):
            found.add(index)
    readers: defaultdict[int, set[int]] = defaultdict(set)
    for index, node in enumerate(program.nodes):
        for operand in operands(node):
            readers[operand].add(index)
    for index in reversed(range(len(program.nodes))):
        # a product of inputs alone could go either way: after the loop, where only such things read it
        if isinstance(program.nodes[index], Product) and index not in waited_for and readers[index] <= found:
            found.add(index)
    wanted = {*program.outputs, *(node for item in program.sums for node in uses(item))}
    return found & ancestors(program, wanted)


def _hoisted(program: Program, deferred: set[int]) -> set[int]:
    """Other products and reductions of inputs alone, and what they are computed from."""
    kinds = Product | Reduce
    of_state = _of_state(program)
    roots = {index for index, node in enumerate(program.nodes) if isinstance(node, kinds)} - of_state - deferred
    return {node for node in ancestors(program, roots) if not is_leaf(program, node)}


def _leaving(program: Program, hoisted: set[int], deferred: set[int]) -> set[int]:
    """Nodes that are needed for all steps after the loop and are known only within it."""
    needed = {operand for node in deferred for operand in operands(program.nodes[node])}
    needed |= {node for item in program.sums if isinstance(item, Outer) for node in uses(item)}
    within = {node for node in needed if not _known_outside(program, node)} | {*program.outputs}
    return within - hoisted - deferred


def _known_outside(program: Program, index: int) -> bool:
    node = program.nodes[index]
    return isinstance(node, Weight | Scalar) or isinstance(node, Read) and node.kind != "state"


def _carry(program: Program, outside: set[int]) -> tuple[Program, dict[int, int]]:
    """The program with the totals of what stays in the loop as further states, each of which grows by its operand."""
    carried: dict[int, int] = {}
    graph, values = copied(program, {})
    states, new = list(program.states), list(program.next)
    for position, item in enumerate(program.sums):
        if isinstance(item, Total) and item.operand not in outside and not _known_outside(program, item.operand):
            value = values[item.operand]
            carried[position] = len(states)
            new.append((graph.read("state", len(states), value.width) + value).index)
            states.append(value.width)
    return replace(program, nodes=tuple(graph.nodes), states=tuple(states), next=tuple(new)), carried


def _inside(program: Program, leaving: set[int], hoisted: set[int]) -> set[int]:
    """What the loop computes."""
    found = {*program.next, *leaving}
    for index in reversed(range(len(program.nodes))):
        if index in found:
            found.update(operand for operand in operands(program.nodes[index]) if operand not in hoisted)
    return {node for node in found if not is_leaf(program, node)}


def _stages(program: Program, inside: set[int], leaving: set[int], merge: bool, late: bool) -> tuple[Stage, ...]:
    levels = _levels(program, inside, leaving, late)
    alone = {node: (node,) for node in levels if isinstance(program.nodes[node], Product)}
    products, absorbed = _merged(program, levels, {*program.next} | leaving) if merge else (alone, set[int]())
    stored = _stored(program, levels, {*program.next} | leaving)
    stages = []
    for level in range(max(levels.values(), default=0) + 1):
        here = [node for node in sorted(levels) if levels[node] == level and node not in absorbed]
        reduces = [node for node in here if isinstance(program.nodes[node], Reduce)]
        groups = []
        for width in sorted({program.nodes[node].width for node in here if node not in reduces}):
            own = [node for node in here if program.nodes[node].width == width and node not in reduces]
            equations = tuple(node for node in own if node not in products)
            # neighbours of one operand are one tile
            begun = sorted((node for node in own if node in products), key=lambda node: _first(program, products[node]))
            started = {node: products[node] for node in begun}
            groups.append(Group(width, started, equations, tuple(node for node in own if node in stored)))
        stages.append(Stage(tuple(reduces), tuple(groups)))
    return tuple(stages)


def _levels(program: Program, inside: set[int], leaving: set[int], late: bool) -> dict[int, int]:
    """The stage of each node: products as early as they can be, equations as late as their readers allow.

    Args:
        late: whether products of inputs are as late, to be accumulated with those of what is computed.
    """
    levels: dict[int, int] = {}
    for index in sorted(inside):
        node = program.nodes[index]
        before = [levels.get(operand, -1) for operand in operands(node)]
        levels[index] = max(before, default=-1) + 1 if isinstance(node, Product | Reduce) else max([0, *before])
    limits: dict[int, int] = {}
    for index in sorted(inside, reverse=True):
        node = program.nodes[index]
        of_input = late and isinstance(node, Product) and isinstance(program.nodes[node.operand], Read)
        if (isinstance(node, Apply) or of_input) and index not in program.next and index not in leaving:
            levels[index] = max(levels[index], limits.get(index, levels[index]))
        latest = levels[index] - isinstance(node, Product | Reduce)
        for operand in operands(node):
            limits[operand] = min(latest, limits.get(operand, latest))
    return levels


def _merged(program: Program, levels: dict[int, int], roots: set[int]) -> tuple[dict[int, tuple[int, ...]], set[int]]:
    """Sums of products of one stage, to be accumulated in one place; and the nodes that vanish in them."""
    readers = Counter(operand for node in levels for operand in operands(program.nodes[node]))
    merged: dict[int, tuple[int, ...]] = {}
    absorbed: set[int] = set()
    for index in sorted(levels):
        node = program.nodes[index]
        if isinstance(node, Product):
            merged[index] = (index,)
        elif isinstance(node, Apply) and node.operation == "add":
            fit = all(
                term in merged
                and (readers[term], levels[term], program.nodes[term].width) == (1, levels[index], node.width)
                and term not in roots
                for term in node.operands
            )
            if fit:
                merged[index] = tuple(part for term in node.operands for part in merged.pop(term))
                absorbed.update(node.operands)
    return merged, absorbed


def _first(program: Program, parts: tuple[int, ...]) -> int:
    """What the first of some products is of."""
    (operand,) = operands(program.nodes[parts[0]])
    return operand


def merged_products(program: Program, nodes: set[int], roots: set[int]) -> dict[int, tuple[int, ...]]:
    """The products among ``nodes``, each sum of several taken together, by the node that holds the sum."""
    return _merged(program, dict.fromkeys(nodes, 0), roots)[0]


def _stored(program: Program, levels: dict[int, int], roots: set[int]) -> set[int]:
    """Nodes that must be in memory: results, operands of products and reductions, and what other groups read."""
    found = set(roots)
    for index, level in levels.items():
        node = program.nodes[index]
        for operand in operands(node):
            same_group = (level, node.width) == (levels.get(operand), program.nodes[operand].width)
            if isinstance(node, Product | Reduce) or not same_group:
                found.add(operand)
    return found & levels.keys()
