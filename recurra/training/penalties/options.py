"""Penalties as a user asks for them: ``NAME=STRENGTH`` or ``GROUP:NAME=STRENGTH``."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from recurra.errors import BadInput, unknown

GRADIENT_FLOW = "gradient-flow"
WEIGHTS = ("l1", "truncated", "group-in", "group-out", "l2")
"""Penalties of weights, in the order in which their maps make up the map of their sum."""

GROUPS = ("input", "recurrent", "bias", "embedding", "output")


class Penalty(NamedTuple):
    """One penalty.

    Args:
        text: as it was asked for.
        group: a role, or a pattern of parameters' names; "" for all weights but biases.
        name: "gradient-flow", or one of weights.
        strength: by which it is multiplied, 0 or more.
        threshold: magnitude from which on a truncated penalty leaves a weight alone.
    """

    text: str
    group: str
    name: str
    strength: float
    threshold: float = math.inf


def listed(asked: str | Mapping[str, float | str] | Iterable[str]) -> tuple[str, ...]:
    """Texts of penalties from any of the forms in which they are given: one, a mapping to strengths, or several."""
    if isinstance(asked, str):
        return (asked,)
    if isinstance(asked, Mapping):
        return tuple(f"{name}={strength}" for name, strength in asked.items())
    return tuple(asked)


def parsed(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The texts, each of which can be read: raises the BadInput of the first that cannot."""
    for text in texts:
        parse(text)
    return texts


def parse(text: str) -> Penalty:
    """One penalty from its text.

    Raises:
        BadInput: an unknown name or group, no number, or one that is out of range.
    """
    what, _, number = text.partition("=")
    group, _, name = what.rpartition(":")
    if name not in (GRADIENT_FLOW, *WEIGHTS):
        raise unknown("penalty", name, (GRADIENT_FLOW, *WEIGHTS))
    if not number:
        raise BadInput(f"--regularize {text}: has no strength; give one, {what}=1e-4 for instance")
    if group and group not in GROUPS and not _is_pattern(group):
        raise unknown("group of weights", group, GROUPS)
    if group and name == GRADIENT_FLOW:
        raise BadInput(f"--regularize {text}: is of whole layers; leave out {group}:")
    strength, comma, threshold = number.partition(",")
    if comma and name != "truncated":
        raise BadInput(f"--regularize {text}: only truncated has a threshold; leave out {comma}{threshold}")
    return Penalty(text, group, name, _number(text, strength), _number(text, threshold) if comma else math.inf)


def _is_pattern(group: str) -> bool:
    return any(mark in group for mark in "*?[.")


def _number(text: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError as error:
        raise BadInput(f"--regularize {text}: {number!r} is not a number; write 1e-4, for instance") from error
    if not 0 <= value < math.inf:
        raise BadInput(f"--regularize {text}: {number} is out of range; a strength is 0 or more")
    return value
