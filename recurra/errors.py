"""The errors a user can mend: each message is one line that names the file, the place and the mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class BadInput(ValueError):
    """Something the user gave cannot be used. The command line prints the message and exits with code 2."""


class NotFinite(BadInput):
    """Training met a loss or a gradient that is not a number; the message says where it arose."""


class Stopped(Exception):
    """A signal asked to stop; everything needed to go on is saved. The command exits with 128 + ``number``."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """An unknown ``name`` of some ``kind`` ("cell", "task"), with the nearest known name where one is near."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    return BadInput(f"unknown {kind} {name!r}; {mend}")
