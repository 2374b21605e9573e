"""What is computed before and after the loop, beside the meaning of the whole program, where the two have to meet."""

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from recurra.layers import Recurrent
from recurra.recurrence import batched, reference
from recurra.recurrence.batched import Arguments
from recurra.recurrence.cpu.execute import execute
from recurra.recurrence.graph import Graph
from recurra.recurrence.interpret import interpret
from recurra.recurrence.program import Outer, Span
from recurra.recurrence.request import Request
from tests.recurrence.parity import by_reference, difference, everything, problem
from tests.recurrence.programs import finish, inputs

ALL = Span(0, 3)


def row_before():
    """A product of all inputs, which are first multiplied by what stays the same for a row of the batch."""
    graph = Graph()
    gate, x, row = graph.read("sequence", 0, 1), graph.read("sequence", 1, 3), graph.read("row", 0, 3)
    h = (graph.product(gate * x * row, 0, ALL, ALL) + graph.read("state", 0, 3)).apply("tanh")
    return finish(graph, [h], [h], sequences=[1, 3], rows=[3], weights=[(3, 3)])


def row_after():
    """A product that no step waits for, then multiplied by what stays the same for a row of the batch."""
    graph = Graph()
    h = (graph.read("sequence", 0, 3) + graph.read("state", 0, 3)).apply("tanh")
    return finish(graph, [h], [graph.product(h, 0, ALL, ALL) * graph.read("row", 0, 3)], sequences=[3], rows=[3])


def state_after():
    """A product of the state as the step found it, which no step waits for, then multiplied by that state."""
    graph = Graph()
    old = graph.read("state", 0, 3)
    h = (graph.read("sequence", 0, 3) + old).apply("tanh")
    return finish(graph, [h], [graph.product(old, 0, ALL, ALL) * old], sequences=[3])


def state_in_a_sum():
    """A sum of products of the state as each step found it."""
    graph = Graph()
    x, old = graph.read("sequence", 0, 3), graph.read("state", 0, 3)
    program = finish(graph, [(x + old).apply("tanh")], [], sequences=[3])
    return replace(program, sums=(Outer(0, ALL, ALL, old.index, x.index),))


def state_before():
    """A state that depends on the input alone, and a product of it for another state."""
    graph = Graph()
    first = graph.product(graph.read("sequence", 0, 3), 0, ALL, ALL).apply("tanh")
    second = (graph.product(first, 0, ALL, ALL) + graph.read("state", 1, 3) * graph.read("state", 0, 3)).apply("tanh")
    return finish(graph, [first, second], [second], sequences=[3])


@pytest.mark.parametrize("build", [row_before, row_after, state_after, state_in_a_sum, state_before])
@pytest.mark.parametrize("steps", [1, 4])
def test_what_lies_outside_the_loop_reads_what_a_step_would(build, steps, monkeypatch):
    program = replace(build(), weights=((3, 3),))
    given = inputs(program, steps=steps)
    wanted = interpret(program, *given)
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda like, *shape: like.new_full(shape, float("nan")))
    found = execute(program, Arguments(*given), steps)
    results = [*found.outputs, *found.states, *found.weights.values()]
    for one, other in zip(results, [*wanted.outputs, *wanted.states, *wanted.sums], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


class Largest(nn.Module):
    """A state that looks at the largest of its features, after a function that the gradient could compute again."""

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 9, dtype=torch.float64)

    def forward(self, x, h):
        return torch.tanh(x + h * torch.tanh(h).amax(1, keepdim=True))


def test_the_largest_is_found_again_by_other_instructions():
    """The loop and torch differ in the last bit of tanh: of two that should be equal neither is then the largest."""
    layer = Recurrent(Largest())
    for seed in range(5):
        given = problem(layer, 9, random.Random(seed), torch.float64)
        found = difference(
            everything(layer, given, layer(*given)), everything(layer, given, by_reference(layer, given))
        )
        assert found < 1e-14
    assert layer.explain().path == "cpu"


class Blind(nn.Module):
    """A step that never looks at x; what it multiplies by its weights is the same at every step."""

    def __init__(self, learnt: bool) -> None:
        super().__init__()
        self.weight = nn.Linear(3, 4, bias=False, dtype=torch.float64)
        self.given = nn.Parameter(torch.ones(3, dtype=torch.float64)) if learnt else None

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        given = torch.ones(len(x), 3, dtype=h.dtype) if self.given is None else self.given.expand(len(x), 3)
        return torch.tanh(h + self.weight(given))


@pytest.mark.parametrize("learnt", [True, False])
def test_a_step_that_reads_no_input(learnt: bool) -> None:
    layer = Recurrent(Blind(learnt), initial_state=lambda rows: torch.zeros(rows, 4, dtype=torch.float64))
    x = torch.zeros(2, 5, 3, dtype=torch.float64)
    results = []
    for outputs in (layer(x)[0], reference.answer(layer.cell, Request(x, layer.initial_state(2))).outputs):
        results.append([outputs, *torch.autograd.grad(outputs.sum(), list(layer.parameters()))])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)
    assert layer.explain().path == "cpu"


def test_blocks_are_stacked_without_a_copy_only_within_one_tensor():
    whole = torch.arange(12.0).view(6, 2)
    parts = whole.split([2, 3, 1])
    found = batched.stacked(parts)
    assert torch.equal(found, whole) and found.data_ptr() == whole.data_ptr()
    assert torch.equal(batched.stacked(parts[::-1]), torch.cat(parts[::-1]))
    numbers = whole.numpy()
    neighbours = [torch.from_numpy(numbers[:2]), torch.from_numpy(numbers[2:])]  # each with a storage of its own
    assert torch.equal(batched.stacked(neighbours), whole)
