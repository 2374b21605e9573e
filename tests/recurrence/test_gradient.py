"""Adjoint programs against autograd through the interpreted program, and each operation's rule against torch's."""

import inspect
import math
from dataclasses import replace
from itertools import product

import hypothesis
import pytest
import torch
from hypothesis import strategies as st

from recurra.recurrence.gradient import Wanted, differentiate
from recurra.recurrence.graph import Graph
from recurra.recurrence.interpret import interpret
from recurra.recurrence.operations import OPERATIONS
from recurra.recurrence.parse import parse
from recurra.recurrence.program import Outer, Product, Reduce, Span, ancestors, operands, results
from tests.recurrence.programs import CELLS, Inputs, finish, inputs
from tests.recurrence.random_programs import random_program


def everything(program):
    return Wanted(*((True,) * len(each) for each in (program.sequences, program.weights, program.rows)))


def by_autograd(program, given, output_gradients, state_gradients):
    """The gradients of sequences, states, rows and weights, nested as ``given``."""
    leaves = [[tensor.clone().requires_grad_() for tensor in group] for group in given]
    run = interpret(program, *leaves)
    flat = [leaf for group in leaves for leaf in group]
    pairs = zip(run.outputs + run.states, output_gradients + state_gradients, strict=True)
    # a sum that everything has a part in: where nothing else does, the gradients are zeros
    total = sum((result * g).sum() for result, g in pairs) + sum(0 * leaf.sum() for leaf in flat)
    found = iter(torch.autograd.grad(total, flat))
    return Inputs(*([next(found) for _ in group] for group in leaves))


def by_adjoint(adjoint, given, output_gradients, state_gradients):
    """The same; what is not wanted is None."""
    forward, backward, sources = adjoint
    count = len(forward.outputs)
    run = interpret(replace(forward, outputs=forward.outputs + forward.next), *given)
    order = -1 if forward.backwards else 1
    previous = [
        torch.cat([start[None], after][::order])[slice(None, -1) if order == 1 else slice(1, None)]
        for start, after in zip(given.states, run.outputs[count:], strict=True)
    ]
    places = {
        "sequence": given.sequences,
        "previous": previous,
        "output": run.outputs[:count],
        "gradient": output_gradients,
    }
    sequences = [places[source.kind][source.number] for source in sources]
    steps = len(given.sequences[0])
    back = interpret(backward, sequences, state_gradients, given.rows, given.weights, steps=steps)
    weights = [torch.zeros_like(weight) for weight in given.weights]
    rows = [torch.zeros_like(row) for row in given.rows]
    for item, value in zip(backward.sums, back.sums, strict=True):
        if isinstance(item, Outer):
            weights[item.index][
                item.rows.start : item.rows.start + item.rows.size,
                item.columns.start : item.columns.start + item.columns.size,
            ] += value
        else:
            total = (weights if item.kind == "weight" else rows)[item.index]
            total[..., item.span.start : item.span.start + item.span.size] += value
    return Inputs(back.outputs, back.states, rows, weights)


def compare(program, *, steps=4, seed=0, wanted=None):
    """The adjoint's gradients equal autograd's, within the rounding of float64 over a few steps."""
    adjoint = differentiate(program, wanted or everything(program))
    given = inputs(program, steps, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    widths = [program.nodes[index].width for index in program.outputs]
    outputs = [torch.randn(steps, 3, width, generator=generator, dtype=torch.float64) for width in widths]
    states = [torch.randn(3, width, generator=generator, dtype=torch.float64) for width in program.states]
    expected = by_autograd(program, given, outputs, states)
    found = by_adjoint(adjoint, given, outputs, states)
    if wanted is not None:
        expected = Inputs(
            [gradient for gradient, yes in zip(expected.sequences, wanted.sequences, strict=True) if yes],
            expected.states,
            [gradient * yes for gradient, yes in zip(expected.rows, wanted.rows, strict=True)],
            [gradient * yes for gradient, yes in zip(expected.weights, wanted.weights, strict=True)],
        )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    return adjoint


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_has_the_gradients_of_autograd(name, steps):
    compare(CELLS[name], steps=steps)


@pytest.mark.parametrize(
    ("name", "remembered"),
    [
        ("lstm", ["sigmoid", "sigmoid", "sigmoid", "tanh"]),
        ("peephole_lstm", ["tanh", "sigmoid", "sigmoid", "sigmoid"]),
        ("gru_before", ["sigmoid", "sigmoid", "tanh"]),
        ("gru_after", ["sigmoid", "sigmoid", "add", "tanh"]),
        ("highway", ["sigmoid", "tanh", "sigmoid", "tanh"]),
        ("layer_norm", ["sub", "rsqrt"]),
        ("softmax", ["add", "reduce", "reduce"]),
    ],
)
def test_no_more_is_remembered_than_equations_cannot_bring_back(name, remembered):
    program = CELLS[name]
    forward, backward, sources = differentiate(program, everything(program))
    kept = forward.outputs[len(program.outputs) :]
    assert sorted(str(program.nodes[index]).split()[0] for index in kept) == sorted(remembered)
    assert len(set(sources)) == len(sources)
    products = [node for node in program.nodes if isinstance(node, Product)]
    assert sum(isinstance(node, Product) for node in backward.nodes) == len(products)
    assert all(node.transposed for node in backward.nodes if isinstance(node, Product))


def test_what_is_an_output_anyway_is_not_remembered_twice():
    program = CELLS["trajectories"]
    forward = differentiate(program, everything(program)).forward
    assert forward.outputs[:5] == program.outputs
    assert [forward.nodes[index].operation for index in forward.outputs[5:]] == ["sigmoid"]


def test_only_what_is_wanted_is_computed():
    program = CELLS["broadcast"]
    for choice in product([False, True], repeat=6):
        wanted = Wanted(choice[:2], choice[2:4], choice[4:])
        backward = compare(program, wanted=wanted).backward
        summed = {(isinstance(item, Outer) or item.kind == "weight", item.index) for item in backward.sums}
        weights = {(True, index) for index, yes in enumerate(wanted.weights) if yes}
        assert summed == weights | {(False, index) for index, yes in enumerate(wanted.rows) if yes}
        assert ancestors(backward, results(backward)) == set(range(len(backward.nodes)))


def test_a_product_of_an_unwanted_sequence_is_not_taken_back():
    program = CELLS["lstm"]
    backward = differentiate(program, Wanted((False,), (True, True, True), ())).backward
    assert {node.index for node in backward.nodes if isinstance(node, Product)} == {1}
    nothing = differentiate(program, Wanted((True,), (False, False, False), ())).backward
    assert nothing.sums == () and nothing.backwards


@pytest.mark.parametrize("name", CELLS)
def test_adjoints_are_programs_like_any_other(name):
    program = CELLS[name]
    for half in differentiate(program, everything(program))[:2]:
        assert parse(half.text) == half
        assert all(operand < index for index, node in enumerate(half.nodes) for operand in operands(node))


def test_the_gradient_of_an_adjoint_is_that_of_its_meaning():
    backward = differentiate(CELLS["gru_before"], everything(CELLS["gru_before"])).backward
    compare(replace(backward, sums=()))


INFINITE, NONE = math.inf, math.nan
SPECIAL = [-INFINITE, -2.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, INFINITE, NONE]


def gradients_of(operation, points, g, **constants):
    """By the rule, at all ``points`` at once; ``constants`` are operands that are numbers, by their position."""
    graph = Graph()
    reads = iter([graph.read("sequence", index, 1) for index in range(len(points))])
    fixed = {int(place[1:]): value for place, value in constants.items()}
    values = [fixed[place] if place in fixed else next(reads) for place in range(len(points) + len(fixed))]
    program = finish(graph, [graph.read("state", 0, 1)], [graph.apply(operation, *values)], sequences=[1] * len(points))
    zeros = torch.zeros(len(g), 1, dtype=torch.float64)
    given = Inputs([each[None, :, None] for each in points], [zeros], [], [])
    found = by_adjoint(differentiate(program, everything(program)), given, [g[None, :, None]], [zeros])
    return [each[0, :, 0] for each in found.sequences]


def by_torch(meaning, points, g):
    points = [each.clone().requires_grad_() for each in points]
    y = meaning(*points)
    if not y.requires_grad:
        return tuple(torch.zeros_like(each) for each in points)
    return torch.autograd.grad(y, points, g, materialize_grads=True)


def arity(operation):
    return len(inspect.signature(OPERATIONS[operation].gradient).parameters) - 2


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_has_torch_s_gradient_at_every_special_point(operation):
    special = torch.tensor(SPECIAL, dtype=torch.float64)
    *points, g = torch.cartesian_prod(*[special] * arity(operation), torch.tensor([1.0, -0.7]).double()).unbind(1)
    expected = list(by_torch(OPERATIONS[operation].meaning, points, g))
    torch.testing.assert_close(gradients_of(operation, points, g), expected, rtol=1e-14, atol=0, equal_nan=True)


@pytest.mark.parametrize("number", [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0])
def test_a_power_of_a_number_or_to_a_number_has_torch_s_gradient(number):
    x = torch.tensor(SPECIAL, dtype=torch.float64)
    g = torch.full_like(x, 0.3)
    to_base, to_exponent = gradients_of("pow", [x], g, _1=number), gradients_of("pow", [x], g, _0=number)
    number = torch.tensor([number], dtype=torch.float64)
    expected = by_torch(lambda x: x**number, [x], g) + by_torch(lambda x: number**x, [x], g)
    torch.testing.assert_close(to_base + to_exponent, list(expected), rtol=1e-14, atol=0, equal_nan=True)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_s_gradient_is_its_slope_where_it_is_smooth(operation):
    generator = torch.Generator().manual_seed(0)
    points = [torch.rand(50, generator=generator, dtype=torch.float64) * 0.4 + 0.05 for _ in range(arity(operation))]
    points[-1] = points[-1] + 0.5 if len(points) == 2 else points[-1]  # the two are never equal
    meaning, step = OPERATIONS[operation].meaning, 1e-6
    found = gradients_of(operation, points, torch.ones(50, dtype=torch.float64))
    for place, gradient in enumerate(found):
        above, below = ([x + sign * step * (k == place) for k, x in enumerate(points)] for sign in (1, -1))
        slope = (meaning(*above) - meaning(*below)) / (2 * step) * (operation != "detach")
        torch.testing.assert_close(gradient, slope, rtol=1e-7, atol=1e-8)


def test_equal_maxima_share_their_gradient():
    graph = Graph()
    x = graph.read("sequence", 0, 4)
    program = finish(graph, [graph.read("state", 0, 1)], [graph.reduce("max", x)], sequences=[4])
    rows = torch.tensor([[1, 3, 3, 0], [2, 2, 2, 2], [-INFINITE, 0, INFINITE, INFINITE], [NONE, 1, 1, 2]]).double()
    g, zeros = torch.tensor([1.0, -0.7, 2.0, 1.0]).double(), torch.zeros(4, 1, dtype=torch.float64)
    given = Inputs([rows[None]], [zeros], [], [])
    (found,) = by_adjoint(differentiate(program, everything(program)), given, [g[None, :, None]], [zeros]).sequences
    (expected,) = by_torch(lambda x: x.amax(1), [rows], g)
    torch.testing.assert_close(found[0], expected, rtol=0, atol=0, equal_nan=True)


@hypothesis.settings(max_examples=100, derandomize=True, database=None, deadline=None)
@hypothesis.given(st.randoms(use_true_random=False))
def test_random_programs_have_the_gradients_of_autograd(random):
    program = random_program(random)
    inputs_of = (program.sequences, program.weights, program.rows)
    wanted = Wanted(*(tuple(random.random() < 0.8 for _ in each) for each in inputs_of))
    for half in compare(program, steps=random.randint(1, 3), wanted=wanted)[:2]:
        assert parse(half.text) == half


def test_a_weight_that_scales_all_features_is_summed_over_them_by_its_total():
    graph = Graph()
    x, a = graph.read("sequence", 0, 3), graph.weight(0, Span(0, 1))
    program = finish(graph, [(x * a + graph.read("state", 0, 3)).apply("tanh")], [], sequences=[3], weights=[(1,)])
    backward = compare(program).backward
    assert not any(isinstance(node, Reduce) for node in backward.nodes)
    assert [backward.nodes[item.operand].width for item in backward.sums] == [3]
