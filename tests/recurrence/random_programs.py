"""Programs drawn at random, each a step that computes: every kind of node, blocks of weights shared and transposed."""

from recurra.recurrence.graph import Graph, Value
from recurra.recurrence.program import Apply, Program, Span

SMOOTH = ("tanh", "sigmoid", "sin", "cos", "erf")
KINKED = ("relu", "abs", "neg", "detach", "sign", "round")
POSITIVE = ("log", "log1p", "sqrt", "rsqrt", "exp", "expm1")
BINARY = ("add", "sub", "mul", "minimum", "maximum")
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
WIDTHS = (1, 1, 2, 3, 5, 8, 9)


def random_program(random) -> Program:
    """A program whose values stay of order one; ``random`` is a `random.Random`, or hypothesis's, which shrinks."""
    return _Draft(random).program()


class _Draft:
    def __init__(self, random) -> None:
        self.random = random
        self.graph = Graph()
        self.weights: list[tuple[int, ...]] = []
        self.sequences, self.states, self.rows = (
            [random.choice(WIDTHS) for _ in range(random.randint(*count))] for count in ((1, 2), (1, 3), (0, 2))
        )
        kinds = (("sequence", self.sequences), ("state", self.states), ("row", self.rows))
        self.values = [self.graph.read(kind, k, width) for kind, each in kinds for k, width in enumerate(each)]

    def program(self) -> Program:
        for _ in range(self.random.randint(1, 10)):
            step = self.random.choice([self.unary, self.positive, self.binary, self.choice, self.reduced, self.product])
            self.values.append(step())
        next = [self.of_width(width) for width in self.states]
        next = [value if value.index < len(self.states) else value.apply("tanh") for value in next]
        outputs = [self.any() for _ in range(self.random.randint(0, 3))]
        nodes = tuple(self.graph.nodes)
        ids = (tuple(value.index for value in each) for each in (next, outputs))
        return Program(tuple(self.sequences), tuple(self.states), tuple(self.rows), tuple(self.weights), nodes, *ids)

    def any(self) -> Value:
        return self.random.choice(self.values)

    def of_width(self, width: int) -> Value:
        """An earlier value of a width, or a product that makes one."""
        fitting = [value for value in self.values if value.width == width]
        return self.random.choice(fitting) if fitting else self.product(width)

    def partner(self, width: int):
        """Something that goes with a value of a width: a value, a number or part of a weight vector."""
        values = [value for value in self.values if value.width in (1, width)]
        kind = self.random.choice(["value", "value", "number", "weight"])
        if kind == "number" or kind == "value" and not values:
            return self.random.choice([0.5, -1.5])
        if kind == "value":
            return self.random.choice(values)
        start = self.random.randrange(3)
        self.weights.append((start + width + 1,))
        return self.graph.weight(len(self.weights) - 1, Span(start, self.random.choice([1, width])))

    def unary(self) -> Value:
        return self.any().apply(self.random.choice(SMOOTH + KINKED))

    def positive(self) -> Value:
        value = self.any().apply("tanh")
        operation = self.random.choice([*POSITIVE, "pow", "div"])
        if operation in POSITIVE:
            return (value * value + 0.5).apply(operation)
        other = self.partner(value.width)
        return other / (value * value + 0.5) if operation == "div" else (value + 1.5).apply("pow", other).apply("tanh")

    def binary(self) -> Value:
        value = self.any()
        return value.apply(self.random.choice(BINARY), self.partner(value.width)).apply("tanh")

    def choice(self) -> Value:
        value = self.any()
        width = value.width
        condition = value.apply(self.random.choice(COMPARISONS), self.partner(width))
        return condition.apply("where", self.partner(width), self.partner(width))

    def reduced(self) -> Value:
        value = self.graph.reduce(self.random.choice(["sum", "max"]), self.any())
        wide = Apply("mul", (value.index, self.graph.scalar(0.3).index), self.random.choice(WIDTHS))
        return self.random.choice([value.apply("tanh"), self.graph.add(wide).apply("tanh")])

    def product(self, width: int | None = None) -> Value:
        """With a block of a new matrix, or of one that was used before."""
        value, transposed = self.any(), self.random.random() < 0.4
        width = width or self.random.choice(WIDTHS)
        rows, columns = (value.width, width) if transposed else (width, value.width)
        fitting = [
            k for k, each in enumerate(self.weights) if len(each) == 2 and each[0] >= rows and each[1] >= columns
        ]
        if not fitting or self.random.random() < 0.5:
            self.weights.append((rows + self.random.randrange(3), columns + self.random.randrange(3)))
            fitting = [len(self.weights) - 1]
        index = self.random.choice(fitting)
        height, breadth = self.weights[index]
        top, left = self.random.randint(0, height - rows), self.random.randint(0, breadth - columns)
        return self.graph.product(value, index, Span(top, rows), Span(left, columns), transposed)
