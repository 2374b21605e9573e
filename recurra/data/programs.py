"""Short programs, sums and numbers to copy, each with what it prints: problems whose difficulty is two numbers.

Source: Zaremba and Sutskever (2014), "Learning to Execute", arXiv:1410.4615, sections 3 and 4 and their supplement.
"""

import random
import zlib
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

Kind = Literal["programs", "addition", "copy"]
Split = Literal["train", "dev", "test"]

SPLITS: tuple[Split, ...] = ("train", "dev", "test")

VARIABLES = "abcdefghijklmnopqrstuvwyz"
"""All letters but x, which loops count with."""

ALPHABET = "\n ()*+-0123456789:<=>" + "abcdefghijklmnopqrstuvwxyz"
"""All characters of programs and of what they print."""


class Program(NamedTuple):
    """A program of Python, and what it prints."""

    code: str
    output: str


class Level(NamedTuple):
    """How hard a program is.

    Args:
        length: most digits of its numbers; exactly as many of those that are added or copied.
        nesting: operations that are combined.
    """

    length: int
    nesting: int


class _Part(NamedTuple):
    """A piece of a program: statements that come before, an expression, and its value."""

    statements: tuple[str, ...]
    expression: str
    value: int


def draw(kind: Kind, level: Level, generator: random.Random) -> Program:
    """A random problem of a kind; nesting counts for programs alone."""
    match kind:
        case "addition":
            one, other = (_digits(level.length, generator) for _ in range(2))
            return Program(f"print({one}+{other})", str(one + other))
        case "copy":
            number = "".join(generator.choices("0123456789", k=level.length))
            return Program(number, number)
    return _program(level, generator)


def draw_of(split: Split, kind: Kind, level: Level, generator: random.Random) -> Program:
    """A random problem of one of three parts that have none in common: its code's hash says which it belongs to.

    A level of so few problems that a part has none of them gives one of any part.
    """
    program = draw(kind, level, generator)
    for _ in range(100):
        if split_of(program.code) == split:
            break
        program = draw(kind, level, generator)
    return program


def split_of(code: str) -> Split:
    """The part that a problem belongs to."""
    return SPLITS[zlib.crc32(code.encode()) % len(SPLITS)]


def problems(split: Split, kind: Kind, level: Level, seed: int) -> Iterator[Program]:
    """Problems without end; the same for the same seed."""
    generator = random.Random(f"{split} {kind} {level} {seed}")
    while True:
        yield draw_of(split, kind, level, generator)


def mixed(level: Level, generator: random.Random) -> Level:
    """A level as hard or easier, each length and nesting as likely."""
    return Level(generator.randint(1, level.length), generator.randint(1, level.nesting))


def _program(level: Level, generator: random.Random) -> Program:
    names = generator.sample(VARIABLES, len(VARIABLES))
    stack: list[_Part] = []
    for _ in range(level.nesting):
        operation = generator.choice(OPERATIONS)
        stack.append(operation(lambda: _operand(stack, level, generator), names, level, generator))
    statements, expression, value = stack.pop()
    return Program("\n".join([*statements, f"print({expression})"]), str(value))


def _operand(stack: list[_Part], level: Level, generator: random.Random) -> _Part:
    """What has been built before, or a number."""
    if stack and generator.random() > 0.5:
        return stack.pop()
    return _number(generator.randrange(10**level.length))


def _number(value: int) -> _Part:
    return _Part((), str(value), value)


def _digits(length: int, generator: random.Random) -> int:
    return generator.randrange(10 ** (length - 1) if length > 1 else 0, 10**length)


Operation = Callable[[Callable[[], _Part], list[str], Level, random.Random], _Part]
"""From a source of operands and names that are free to a larger piece. What it multiplies by, or repeats, is small, so
that what is printed takes time in proportion to the program to find out."""


def _sum(operand: Callable[[], _Part], names: list[str], level: Level, generator: random.Random) -> _Part:
    one, other = operand(), operand()
    sign = generator.choice("+-")
    value = one.value + other.value if sign == "+" else one.value - other.value
    return _Part(one.statements + other.statements, f"({one.expression}{sign}{other.expression})", value)


def _multiplication(operand: Callable[[], _Part], names: list[str], level: Level, generator: random.Random) -> _Part:
    one, factor = operand(), generator.randint(1, 4 * level.length)
    left, right = (one.expression, str(factor)) if generator.random() > 0.5 else (str(factor), one.expression)
    return _Part(one.statements, f"({left}*{right})", one.value * factor)


def _assignment(operand: Callable[[], _Part], names: list[str], level: Level, generator: random.Random) -> _Part:
    one, other, name = operand(), operand(), names.pop()
    statements = one.statements + other.statements + (f"{name}={one.expression}",)
    return _Part(statements, f"({name}+{other.expression})", one.value + other.value)


def _condition(operand: Callable[[], _Part], names: list[str], level: Level, generator: random.Random) -> _Part:
    left, right, then, otherwise = (operand() for _ in range(4))
    sign = generator.choice("<>")
    holds = left.value < right.value if sign == "<" else left.value > right.value
    statements = left.statements + right.statements + then.statements + otherwise.statements
    expression = f"({then.expression} if {left.expression}{sign}{right.expression} else {otherwise.expression})"
    return _Part(statements, expression, then.value if holds else otherwise.value)


def _loop(operand: Callable[[], _Part], names: list[str], level: Level, generator: random.Random) -> _Part:
    start, each, name = operand(), operand(), names.pop()
    times, sign = generator.randint(1, 4 * level.length), generator.choice("+-")
    body = (f"{name}={start.expression}", f"for x in range({times}):{name}{sign}={each.expression}")
    value = start.value + times * each.value * (1 if sign == "+" else -1)
    return _Part(start.statements + each.statements + body, name, value)


OPERATIONS: tuple[Operation, ...] = (_sum, _multiplication, _assignment, _condition, _loop)
