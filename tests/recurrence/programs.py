"""Programs of known cells, written out by hand, and the inputs to run any program on."""

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.recurrence.graph import Graph
from recurra.recurrence.program import Program, Span


class Inputs(NamedTuple):
    sequences: list[Tensor]
    states: list[Tensor]
    rows: list[Tensor]
    weights: list[Tensor]


def inputs(program, steps=4, batch=3, dtype=torch.float64, seed=0):
    """Everything that ``program`` reads, drawn at random; weights of a size that keeps products of order one."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return Inputs(
        [draw(steps, batch, width) for width in program.sequences],
        [draw(batch, width) for width in program.states],
        [draw(batch, width) for width in program.rows],
        [draw(*shape) / shape[-1] ** 0.5 for shape in program.weights],
    )


def finish(graph, next, outputs, *, sequences=(), rows=(), weights=()):
    """The program of a graph whose states are as wide as the values ``next``."""
    states = tuple(value.width for value in next)
    ids = (tuple(value.index for value in values) for values in (next, outputs))
    return Program(tuple(sequences), states, tuple(rows), tuple(weights), tuple(graph.nodes), *ids)


class Step:
    """A step under construction, of one input x; ``drive(k, h)`` is W_x x + W_h h + b of the k-th gate."""

    def __init__(self, inputs, hidden, gates):
        self.inputs, self.hidden = inputs, hidden
        self.graph = Graph()
        self.x = self.graph.read("sequence", 0, inputs)
        self.weights = [(gates * hidden, inputs), (gates * hidden, hidden), (gates * hidden,)]

    def state(self, index):
        return self.graph.read("state", index, self.hidden)

    def of_x(self, k):
        rows = Span(k * self.hidden, self.hidden)
        return self.graph.product(self.x, 0, rows, Span(0, self.inputs))

    def of_h(self, k, h):
        rows = Span(k * self.hidden, self.hidden)
        return self.graph.product(h, 1, rows, Span(0, self.hidden))

    def bias(self, k):
        return self.graph.weight(2, Span(k * self.hidden, self.hidden))

    def drive(self, k, h):
        return self.of_x(k) + self.of_h(k, h) + self.bias(k)

    def vector(self, size):
        """A further weight vector."""
        self.weights.append((size,))
        return self.graph.weight(len(self.weights) - 1, Span(0, size))

    def finish(self, next, outputs):
        return finish(self.graph, next, outputs, sequences=[self.inputs], weights=self.weights)


def lstm(inputs=3, hidden=5):
    """As torch.nn.LSTM, its biases in one vector: the states are h and c, the output is h."""
    step = Step(inputs, hidden, 4)
    h, c = step.state(0), step.state(1)
    i, f, o = (step.drive(k, h).apply("sigmoid") for k in (0, 1, 3))
    c = f * c + i * step.drive(2, h).apply("tanh")
    h = o * c.apply("tanh")
    return step.finish([h, c], [h])


def peephole_lstm(inputs=3, hidden=5):
    """The output gate looks into the new internal state."""
    step = Step(inputs, hidden, 4)
    h, s = step.state(0), step.state(1)
    p_i, p_f, p_o = (step.vector(hidden) for _ in range(3))
    g = step.drive(0, h).apply("tanh")
    i = (step.drive(1, h) + p_i * s).apply("sigmoid")
    f = (step.drive(2, h) + p_f * s).apply("sigmoid")
    s = g * i + s * f
    o = (step.drive(3, h) + p_o * s).apply("sigmoid")
    h = s.apply("tanh") * o
    return step.finish([h, s], [h])


def gru(reset, inputs=3, hidden=5):
    """``reset`` "before" or "after" the product."""
    step = Step(inputs, hidden, 3)
    h = step.state(0)
    r, z = (step.drive(k, h).apply("sigmoid") for k in (0, 1))
    recurrent = step.of_h(2, r * h) + step.bias(2) if reset == "before" else r * (step.of_h(2, h) + step.bias(2))
    g = (step.of_x(2) + recurrent).apply("tanh")
    h = g * (1 - z) + h * z
    return step.finish([h], [h])


def layer_norm(inputs=3, hidden=5):
    """An Elman step whose drive is brought to mean 0 and variance 1, then scaled and shifted."""
    step = Step(inputs, hidden, 1)
    drive = step.drive(0, step.state(0))
    centred = drive - step.graph.reduce("sum", drive) / hidden
    variance = step.graph.reduce("sum", centred * centred) / hidden
    h = (centred * (variance + 1e-5).apply("rsqrt") * step.vector(hidden) + step.vector(hidden)).apply("tanh")
    return step.finish([h], [h])


def softmax(inputs=3, hidden=5):
    """An Elman step whose units compete."""
    step = Step(inputs, hidden, 1)
    drive = step.drive(0, step.state(0))
    powers = (drive - step.graph.reduce("max", drive)).apply("exp")
    h = powers / step.graph.reduce("sum", powers)
    return step.finish([h], [h])


def highway(inputs=3, hidden=5):
    """A recurrent highway step of depth two."""
    step = Step(inputs, hidden, 4)
    h = step.state(0)
    for k in (0, 2):
        drives = [step.drive(j, h) if k == 0 else step.of_h(j, h) + step.bias(j) for j in (k, k + 1)]
        t = drives[1].apply("sigmoid")
        h = drives[0].apply("tanh") * t + h * (1 - t)
    return step.finish([h], [h])


def tied(hidden=5):
    """One matrix W: W h, then W transposed, then a block of it; x is as wide as h."""
    graph = Graph()
    x, h = graph.read("sequence", 0, hidden), graph.read("state", 0, hidden)
    whole = Span(0, hidden)
    first = (graph.product(h, 0, whole, whole) + graph.product(x, 0, whole, whole)).apply("tanh")
    second = graph.product(first, 0, whole, whole, transposed=True)
    narrow = graph.product(second, 0, Span(1, 2), whole)
    h = (graph.product(narrow, 0, Span(1, 2), whole, transposed=True) + x).apply("tanh")
    return finish(graph, [h], [narrow], sequences=[hidden], weights=[(hidden, hidden)])


def broadcast(hidden=5):
    """Scalars of every origin meet vectors: weights, rows, sequences, states and sums of width 1, some used twice."""
    graph = Graph()
    x, u = graph.read("sequence", 0, hidden), graph.read("sequence", 1, 1)
    h, k = graph.read("state", 0, hidden), graph.read("state", 1, 1)
    row, lone = graph.read("row", 0, hidden), graph.read("row", 1, 1)
    a, b = graph.weight(0, Span(0, 1)), graph.weight(0, Span(1, 1))
    wide = graph.product(u * a, 1, Span(0, 3), Span(0, 1)).apply("tanh")
    new = (x * a + h * b * u + row * lone + k).apply("tanh")
    k = (graph.reduce("sum", new) * a + graph.reduce("sum", wide * b) + u + lone).apply("tanh")
    return finish(graph, [new, k], [k, wide], sequences=[hidden, 1], rows=[hidden, 1], weights=[(2,), (3, 1)])


def trajectories(inputs=3, hidden=5):
    """Every state at every step as an output, one of them twice, beside an input and a state as it was."""
    step = Step(inputs, hidden, 2)
    h, s = step.state(0), step.state(1)
    new = step.drive(0, h).apply("tanh")
    s = s * 0.5 + step.drive(1, new).apply("sigmoid")
    return step.finish([new, s], [new, s, new, step.x, h])


CELLS = {
    "lstm": lstm(),
    "peephole_lstm": peephole_lstm(),
    "gru_after": gru("after"),
    "gru_before": gru("before"),
    "layer_norm": layer_norm(),
    "softmax": softmax(),
    "highway": highway(),
    "tied": tied(),
    "broadcast": broadcast(),
    "trajectories": trajectories(),
}
