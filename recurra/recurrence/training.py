"""How a program is run where gradients are wanted: its two halves, found once for each set of wanted gradients."""

from functools import lru_cache
from typing import NamedTuple

from recurra.recurrence.gradient import Adjoint, Wanted, differentiate
from recurra.recurrence.parse import parse
from recurra.recurrence.program import Program


class Training(NamedTuple):
    """How a program is run where gradients are wanted.

    Args:
        adjoint: its halves.
        kept: states that are remembered after every step.
        series: those that are no output anyway.
        wanted: the inputs that need gradients.
    """

    adjoint: Adjoint
    kept: frozenset[int]
    series: tuple[int, ...]
    wanted: Wanted


@lru_cache(maxsize=512)
def program_of(text: str) -> Program:
    return parse(text)


@lru_cache(maxsize=512)
def training_of(text: str, wanted: str) -> Training:
    program = program_of(text)
    if program.int8:
        raise ValueError("weights kept as int8 are for inference: call the layer under torch.no_grad(), or detach x")
    flags = [letter == "1" for letter in wanted[1:]]
    sequences, rows = len(program.sequences), len(program.rows)
    split = Wanted(
        tuple(flags[:sequences]), tuple(flags[sequences + rows :]), tuple(flags[sequences : sequences + rows])
    )
    adjoint = differentiate(program, split)
    kept = frozenset(source.number for source in adjoint.sources if source.kind == "previous")
    series = tuple(sorted(state for state in kept if program.next[state] not in adjoint.forward.outputs))
    return Training(adjoint, kept, series, split)
