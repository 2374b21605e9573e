"""Programs printed and read back."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.recurrence.operations import OPERATIONS
from recurra.recurrence.parse import parse
from recurra.recurrence.program import Apply, Outer, Product, Program, Read, Reduce, Scalar, Span, Total, Weight


def any_span(random):
    return Span(random.randrange(300), random.randint(1, 300))


def any_node(random, before):
    """A node of any kind; ``before`` nodes come before it."""
    index, width, operand = random.randrange(12), random.randint(1, 300), random.randrange(before)
    operation = random.choice(sorted(OPERATIONS))
    return random.choice(
        [
            Read(random.choice(["sequence", "state", "row"]), index, width),
            Weight(index, any_span(random)),
            Scalar(random.choice([0.0, -0.0, math.inf, 1e-320, random.uniform(-1e9, 1e9)])),
            Apply(operation, tuple(random.randrange(before) for _ in range(random.randint(1, 3))), width),
            Product(operand, index, any_span(random), any_span(random), random.random() < 0.5),
            Reduce(random.choice(["sum", "max"]), operand),
        ]
    )


def any_program(random):
    """Nothing that computes, but everything that can be written."""

    def several(each):
        return tuple(each() for _ in range(random.randrange(4)))

    nodes = [Read("state", 0, 3)]
    for _ in range(random.randrange(8)):
        nodes.append(any_node(random, len(nodes)))

    def node():
        return random.randrange(len(nodes))

    def size():
        return random.randint(1, 300)

    def item():
        outer = Outer(size(), any_span(random), any_span(random), node(), node())
        return random.choice([outer, Total(random.choice(["weight", "row"]), size(), any_span(random), node())])

    widths = [several(size) for _ in range(3)]
    shapes = several(lambda: tuple(size() for _ in range(random.randint(1, 2))))
    flags = *(random.choice([True, False]) for _ in range(3)), several(size)
    return Program(*widths, shapes, tuple(nodes), several(node), several(node), several(item), *flags)


@settings(max_examples=300, derandomize=True, database=None, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_program_is_read_back_as_it_was(random):
    program = any_program(random)
    again = parse(program.text)
    assert again == program and again.text == program.text


def test_a_number_that_is_none_is_read_back():
    program = Program((), (), (), (), (Scalar(math.nan), Scalar(-0.0), Scalar(1e-320)), (), (0, 1, 2))
    nan, zero, tiny = (node.value for node in parse(program.text).nodes)
    assert math.isnan(nan) and math.copysign(1, zero) == -1 and tiny == 1e-320


TEXT = """\
step
sequences 3
states 3
rows
weights 3x3 5
%0 = sequence 0 : 3
%1 = product 0 [0:3, 0:3] %0
%2 = tanh %1 : 3
next %2
outputs %2
outer 0 [0:3, 0:3] %1 %2"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("step\n", "stop\n", "line `stop` where it should have `step`"),
        ("rows\n", "", "line `weights 3x3 5` where it should have `rows`"),
        ("tanh %1", "tanhh %1", "no operation is called `tanhh`"),
        ("tanh %1", "tanh %2", "`%2 = tanh %2 : 3` comes before what it is computed from"),
        ("%1 = product", "%7 = product", "line `%7 = product 0 .* should have `%1 = product 0"),
        ("product 0 [0:3, 0:3]", "product 0 [0:3]", "`product 0 .0:3. %0` is nothing that a program says"),
        ("3x3 5", "3by3 5", "line `weights 3by3 5` where it should have `weights 3x3 5`"),
        ("next %2", "next %3", "no node %3"),
        ("%1 %2", "%1 %9", "no node %9"),
        ("outer", "inner", "line `inner 0 .* where it should have `None`"),
        ("outputs %2", "outputs %2 ", "line `outputs %2 `"),
    ],
)
def test_what_no_program_prints_is_refused_by_its_line(old, new, message):
    assert parse(TEXT).text == TEXT
    with pytest.raises(ValueError, match=message):
        parse(TEXT.replace(old, new))
