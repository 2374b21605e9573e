"""Where each node of known cells is computed, split by hand."""

from dataclasses import replace

import pytest
import torch

from recurra.recurrence.gradient import Wanted, differentiate
from recurra.recurrence.graph import Graph
from recurra.recurrence.interpret import interpret
from recurra.recurrence.program import Apply, Outer, Product, Program, Read, Reduce, Span, Total
from recurra.recurrence.schedule import Schedule, schedule
from tests.recurrence.programs import CELLS, Step, finish, gru, inputs, layer_norm, lstm, softmax


def adjoint(program: Program) -> Program:
    groups = (program.sequences, program.weights, program.rows)
    return differentiate(program, Wanted(*((True,) * len(group) for group in groups))).backward


def products(cut: Schedule, index: int) -> list[int]:
    """How many products of a weight are hoisted, in each stage of the loop, and deferred."""
    stages = [
        [part for group in stage.groups for parts in group.products.values() for part in parts] for stage in cut.stages
    ]
    places = [cut.hoisted, *stages, cut.deferred]
    nodes = [[cut.program.nodes[node] for node in place] for place in places]
    return [sum(isinstance(node, Product) and node.index == index for node in place) for place in nodes]


def operations(cut: Schedule, stage: int) -> list[str]:
    nodes = [cut.program.nodes[node] for group in cut.stages[stage].groups for node in group.nodes]
    return sorted(node.operation for node in nodes if isinstance(node, Apply))


def test_lstm_has_one_stage_its_inputs_hoisted():
    cut = schedule(lstm())
    assert products(cut, 0) == [4, 0, 0] and products(cut, 1) == [0, 4, 0]
    assert cut.entering == cut.hoisted and cut.deferred == ()
    (stage,) = cut.stages
    (group,) = stage.groups
    assert (
        stage.reduces == () and group.stores == tuple(sorted(cut.program.next)) and cut.leaving == cut.program.outputs
    )
    assert operations(cut, 0).count("sigmoid") == 3 and operations(cut, 0).count("tanh") == 2


def test_the_adjoint_of_lstm_has_two_stages_and_defers_all_gradients_of_inputs_and_weights():
    cut = schedule(adjoint(lstm()))
    assert products(cut, 0) == [0, 0, 0, 4] and products(cut, 1) == [0, 0, 4, 0]
    first, second = cut.stages
    assert not any(group.products for group in first.groups)
    # the four products of the drives' gradients are one sum, accumulated in one place
    (group,) = second.groups
    assert [len(parts) for parts in group.products.values()] == [4] and group.nodes == ()
    assert {node for item in cut.program.sums if isinstance(item, Outer) for node in (item.left,)} == {*cut.leaving}
    assert cut.carried == {}  # biases have the gradients that leave anyway, and are summed after the loop


def test_gru_with_its_reset_before_the_product_has_two_stages():
    cut = schedule(gru("before"))
    assert products(cut, 0) == [3, 0, 0, 0] and products(cut, 1) == [0, 2, 1, 0]
    # r is needed before the second product, z only after it
    assert operations(cut, 0).count("sigmoid") == 1 and operations(cut, 1).count("sigmoid") == 1


def test_gru_with_its_reset_after_the_product_has_one():
    assert products(schedule(gru("after")), 1) == [0, 3, 0]


def sru(inputs: int = 3, hidden: int = 5) -> Program:
    """Products of the input alone; the state meets them feature by feature."""
    step = Step(inputs, hidden, 3)
    c = step.state(0)
    f, r = ((step.of_x(k) + step.vector(hidden) * c).apply("sigmoid") for k in (1, 2))
    c = f * c + (1 - f) * step.of_x(0)
    return step.finish([c], [r * c])


def test_sru_has_no_product_in_its_loop():
    cut = schedule(sru())
    assert products(cut, 0) == [3, 0, 0] and len(cut.stages) == 1
    back = schedule(adjoint(sru()))
    assert products(back, 0) == [0, 0, 3] and len(back.stages) == 1
    # the gradients of its two vectors are sums of what does not leave the loop: they grow within it, as states
    totals = {position for position, item in enumerate(back.program.sums) if isinstance(item, Total)}
    assert {*back.carried} == totals and len(back.program.states) == 1 + len(totals) == 3


def projected(hidden: int = 5) -> Program:
    """An Elman step whose output is a product of its state, and a softmax of that."""
    step = Step(3, hidden, 1)
    h = step.drive(0, step.state(0)).apply("tanh")
    step.weights.append((4, hidden))
    logits = step.graph.product(h, 3, Span(0, 4), Span(0, hidden))
    powers = logits.apply("exp")
    return step.finish([h], [powers / step.graph.reduce("sum", powers)])


def test_an_output_that_no_step_waits_for_is_deferred():
    cut = schedule(projected())
    assert products(cut, 3) == [0, 0, 1] and len(cut.stages) == 1
    kinds = [type(cut.program.nodes[node]) for node in cut.deferred]
    assert kinds == [Product, Apply, Reduce, Apply] and cut.leaving == cut.program.next


def test_an_output_of_inputs_alone_is_not_computed_twice():
    graph = Graph()
    x, h = graph.read("sequence", 0, 3), graph.read("state", 0, 3)
    whole = Span(0, 3)
    drive = graph.product(x, 0, whole, whole)
    cut = schedule(finish(graph, [(h + drive).apply("tanh")], [drive * 2.0], sequences=[3], weights=[(3, 3)]))
    assert products(cut, 0) == [1, 0, 0]


@pytest.mark.parametrize("build, kind", [(layer_norm, "sum"), (softmax, "max")])
def test_each_reduction_over_the_features_begins_a_stage(build, kind):
    cut = schedule(build())
    assert [len(stage.reduces) for stage in cut.stages] == [0, 1, 1]
    assert cut.program.nodes[cut.stages[1].reduces[0]].operation == kind


def test_a_single_step_hoists_and_defers_nothing_and_merges_no_products():
    for program in (lstm(), projected()):
        cut = schedule(program, single=True)
        assert cut.hoisted == cut.deferred == ()
        merged = [parts for stage in cut.stages for group in stage.groups for parts in group.products.values()]
        assert all(len(parts) == 1 for parts in merged)


def test_what_is_merely_given_is_copied_where_it_is_a_state_or_an_output():
    graph = Graph()
    x, h, s = graph.read("sequence", 0, 5), graph.read("state", 0, 5), graph.read("state", 1, 5)
    program = finish(graph, [s, x], [h], sequences=[5])
    cut = schedule(program)
    for node in (*cut.program.next, *cut.program.outputs):
        assert isinstance(cut.program.nodes[node], Apply)
    numbers = inputs(program)
    for one, other in zip(interpret(cut.program, *numbers).states, interpret(program, *numbers).states, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("single", [False, True], ids=["loop", "single step"])
@pytest.mark.parametrize("name", CELLS)
def test_every_node_is_computed_once_and_after_what_it_needs(name, single):
    for program in (CELLS[name], adjoint(CELLS[name])):
        cut = schedule(program, single=single)
        known = {n for n, node in enumerate(cut.program.nodes) if not isinstance(node, Apply | Product | Reduce)}
        known |= {*cut.hoisted}
        inside: list[int] = []
        for stage in cut.stages:
            ready = set(known)
            parts = [part for group in stage.groups for parts in group.products.values() for part in parts]
            for node in (*stage.reduces, *parts):
                assert cut.program.nodes[node].operand in ready  # computed by the stages before
            known |= {*stage.reduces, *parts, *(node for group in stage.groups for node in group.products)}
            for group in sorted(stage.groups, key=lambda group: group.width):
                for node in group.nodes:
                    assert known.issuperset(cut.program.nodes[node].operands)
                    assert cut.program.nodes[node].width == group.width
                    known.add(node)
            inside += [*stage.reduces, *parts, *(node for group in stage.groups for node in group.nodes)]
        assert len(inside) == len({*inside}) and not {*inside} & ({*cut.hoisted} | {*cut.deferred})
        assert known.issuperset({*cut.program.next, *cut.leaving} - {*cut.hoisted})


def test_sums_taken_in_the_loop_are_the_same_numbers():
    program = adjoint(sru())
    cut = schedule(program)
    numbers = inputs(program, steps=4)
    want = interpret(program, *numbers, steps=4)
    widths = cut.program.states[1:]
    states = [*numbers.states, *(torch.zeros(3, width, dtype=torch.float64) for width in widths)]
    grown = interpret(replace(cut.program, sums=()), numbers.sequences, states, numbers.rows, numbers.weights, steps=4)
    for position, state in cut.carried.items():
        torch.testing.assert_close(grown.states[state].sum(0), want.sums[position], rtol=0, atol=1e-14)


def test_reads_of_a_state_are_never_outside_the_loop():
    for program in CELLS.values():
        cut = schedule(program)
        for node in cut.hoisted:
            read = [cut.program.nodes[operand] for operand in _operands(cut.program.nodes[node])]
            assert not any(isinstance(each, Read) and each.kind == "state" for each in read)


def _operands(node):
    return node.operands if isinstance(node, Apply) else (node.operand,)
