"""A program's meaning against torch's own networks and sums written out by hand."""

import pytest
import torch
from torch import nn

from recurra.recurrence.graph import Graph
from recurra.recurrence.interpret import evaluate, interpret
from recurra.recurrence.program import Apply, Outer, Product, Program, Read, Span, Total, Weight
from tests.recurrence.programs import highway, lstm


def test_an_lstm_equals_torch():
    torch.manual_seed(0)
    layer = nn.LSTM(3, 5, dtype=torch.float64)
    x, h, c = (torch.randn(*shape, dtype=torch.float64) for shape in ((7, 2, 3), (1, 2, 5), (1, 2, 5)))
    expected, (last_h, last_c) = layer(x, (h, c))
    weights = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0 + layer.bias_hh_l0]
    result = interpret(lstm(3, 5), [x], [h[0], c[0]], [], weights)
    torch.testing.assert_close(result.outputs, [expected], rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(result.states, [last_h[0], last_c[0]], rtol=1e-13, atol=1e-14)


def sums_program(backwards):
    """The running sum of 2x as output; sums of x and of the state before, in every form that there is."""
    graph = Graph()
    x, s, r = graph.read("sequence", 0, 3), graph.read("state", 0, 3), graph.read("row", 0, 3)
    total = s + x * 2
    scaled = x * r
    sums = (
        Outer(0, Span(0, 3), Span(0, 3), x.index, s.index),
        Total("weight", 1, Span(2, 3), x.index),
        Total("weight", 1, Span(1, 1), x.index),
        Total("row", 0, Span(0, 3), scaled.index),
        Total("row", 1, Span(0, 1), scaled.index),
    )
    nodes = tuple(graph.nodes)
    return Program((3,), (3,), (3, 1), ((3, 3), (5,)), nodes, (total.index,), (total.index,), sums, backwards)


@pytest.mark.parametrize("backwards", [False, True])
def test_sums_and_direction_equal_a_calculation_by_hand(backwards):
    torch.manual_seed(1)
    x, start, r = (torch.randn(*shape, dtype=torch.float64) for shape in ((4, 2, 3), (2, 3), (2, 3)))
    weights = [torch.zeros(3, 3, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)]
    result = interpret(sums_program(backwards), [x], [start], [r, r[:, :1]], weights)
    in_order = x.flip(0) if backwards else x
    running = start + 2 * in_order.cumsum(0)
    before = torch.cat([start[None], running[:-1]])
    expected = [
        torch.einsum("tbi,tbj->ij", in_order, before),
        x.sum((0, 1)),
        x.sum().reshape(1),
        x.sum(0) * r,
        (x.sum(0) * r).sum(1, keepdim=True),
    ]
    torch.testing.assert_close(result.outputs[0], running.flip(0) if backwards else running)
    torch.testing.assert_close(result.states[0], running[-1])
    torch.testing.assert_close(result.sums, expected)


def test_no_steps_leave_the_state_and_empty_outputs():
    state = torch.randn(2, 3)
    result = interpret(sums_program(False), [torch.empty(0, 2, 3)], [state], [state, state[:, :1]], [])
    assert result.outputs[0].shape == (0, 2, 3) and result.states[0] is state
    assert [tuple(each.shape) for each in result.sums] == [(3, 3), (3,), (1,), (2, 3), (2, 1)]
    assert not any(each.any() for each in result.sums)


def test_a_program_without_sequences_must_be_told_its_steps():
    graph = Graph()
    half = graph.read("state", 0, 2) * 0.5
    program = Program((), (2,), (), (), tuple(graph.nodes), (half.index,), (half.index,))
    state = torch.tensor([[8.0, 16.0]])
    assert interpret(program, [], [state], [], [], steps=3).states[0].tolist() == [[1.0, 2.0]]
    with pytest.raises(ValueError, match="steps must be given"):
        interpret(program, [], [state], [], [])


def test_nodes_are_evaluated_for_all_steps_at_once_from_what_is_known():
    torch.manual_seed(2)
    program = highway(3, 5)
    x_at = program.nodes.index(Read("sequence", 0, 3))
    products = [k for k, node in enumerate(program.nodes) if isinstance(node, Product) and node.operand == x_at]
    biases = [k for k, node in enumerate(program.nodes) if isinstance(node, Weight)]
    weights = [torch.randn(shape, dtype=torch.float64) for shape in program.weights]
    x = torch.randn(7 * 2, 3, dtype=torch.float64)
    found = evaluate(program, products + biases, {x_at: x}, weights)
    torch.testing.assert_close(torch.cat([found[k] for k in products], 1), x @ weights[0][:10].T)
    torch.testing.assert_close(torch.cat([found[k] for k in biases]), weights[2])
    again = evaluate(program, program.next, {k: torch.full((4, 5), 2.0) for k in range(len(program.nodes))}, [])
    assert all((value == 2).all() for value in again.values())
    with pytest.raises(ValueError, match="state 0 : 5` is not known"):
        evaluate(program, program.next, {x_at: x}, weights)


def test_a_value_wider_than_all_its_operands_is_their_broadcast():
    graph = Graph()
    x = graph.read("sequence", 0, 1)
    wide = graph.add(Apply("mul", (x.index, graph.scalar(3.0).index), 4))
    (value,) = evaluate(
        Program((1,), (), (), (), tuple(graph.nodes), (), (wide.index,)), [wide.index], {0: torch.ones(2, 1)}, []
    ).values()
    assert value.tolist() == [[3.0] * 4] * 2
