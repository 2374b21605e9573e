"""Reading a program back from its text."""

import re
from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Any

from recurra.recurrence.operations import OPERATIONS
from recurra.recurrence.program import (
    Apply,
    Node,
    Outer,
    Product,
    Program,
    Read,
    Reduce,
    Scalar,
    Span,
    Total,
    Weight,
    operands,
    uses,
)


def parse(text: str) -> Program:
    """The program that prints as ``text``.

    Raises:
        ValueError: no program prints like this; the line is named.
    """
    first, *lines = text.split("\n")
    given = dict.fromkeys(("sequences", "states", "rows", "weights", "int8", "next", "outputs"), "")
    nodes: list[Node] = []
    sums: list[Outer | Total] = []
    for line in lines:
        name, _, rest = line.partition(" ")
        if name.startswith("%"):
            nodes.append(_read(_NODES, rest.removeprefix("= ")))
        elif name in ("outer", "total"):
            sums.append(_read(_SUMS, line))
        else:
            given[name] = rest
    weights = tuple(map(_numbers, given.pop("weights").split()))
    lists = {name: _numbers(given[name]) for name in ("sequences", "states", "rows", "int8", "next", "outputs")}
    words = first.split()
    program = Program(
        **lists,
        weights=weights,
        nodes=tuple(nodes),
        sums=tuple(sums),
        backwards="backwards" in words,
        bfloat16="bfloat16" in words,
        gathered="gathered" in words,
    )
    _check(program, text)
    return program


def _read(forms: Mapping[str, Callable[..., Any]], text: str) -> Any:
    for pattern, build in forms.items():
        if match := re.fullmatch(pattern, text):
            return build(*(int(part) if part.isdecimal() else part for part in match.groups()))
    raise ValueError(f"`{text}` is nothing that a program says")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def _span(start: int, stop: int) -> Span:
    return Span(start, stop - start)


def _apply(operation: str, ids: str, width: int) -> Apply:
    if operation not in OPERATIONS:
        raise ValueError(f"no operation is called `{operation}`")
    return Apply(operation, _numbers(ids), width)


def _product(kind: str, index: int, top: int, bottom: int, left: int, right: int, operand: int) -> Product:
    return Product(operand, index, _span(top, bottom), _span(left, right), kind == "transposed")


_RANGE = r"\[(\d+):(\d+)\]"
_BLOCK = r"\[(\d+):(\d+), (\d+):(\d+)\]"

_NODES: dict[str, Callable[..., Node]] = {
    r"(sequence|state|row) (\d+) : (\d+)": Read,
    rf"weight (\d+) {_RANGE}": lambda index, start, stop: Weight(index, _span(start, stop)),
    r"scalar (\S+)": lambda value: Scalar(float(value)),
    rf"(product|transposed) (\d+) {_BLOCK} %(\d+)": _product,
    r"reduce (sum|max) %(\d+)": Reduce,
    r"(\w+) ((?:%\d+ )+): (\d+)": _apply,
}

_SUMS: dict[str, Callable[..., Outer | Total]] = {
    rf"outer (\d+) {_BLOCK} %(\d+) %(\d+)": lambda index, top, bottom, left, right, *ids: Outer(
        index, _span(top, bottom), _span(left, right), *ids
    ),
    rf"total (weight|row) (\d+) {_RANGE} %(\d+)": lambda kind, index, start, stop, operand: Total(
        kind, index, _span(start, stop), operand
    ),
}


def _check(program: Program, text: str) -> None:
    for came, meant in zip_longest(text.split("\n"), program.text.split("\n")):
        if came != meant:
            raise ValueError(f"a program's text has the line `{came}` where it should have `{meant}`")
    for index, node in enumerate(program.nodes):
        if any(operand >= index for operand in operands(node)):
            raise ValueError(f"`%{index} = {node}` comes before what it is computed from")
    for index in (*program.next, *program.outputs, *(node for item in program.sums for node in uses(item))):
        if index >= len(program.nodes):
            raise ValueError(f"the program has no node %{index}")
