"""What a run that answers shows: how it learnt, what it scored, and answers that are wrong."""

from pathlib import Path
from typing import TYPE_CHECKING

from recurra.data.dialogues import turns_of
from recurra.data.words import WORD
from recurra.tasks.pictures import draw_run
from recurra.tasks.translation.reading import Pairs, Part
from recurra.tasks.translation.scoring import answers

if TYPE_CHECKING:
    from recurra.tasks.run import Run

SHOWN = 8
"""Wrong answers that a report quotes."""


def present(run: "Run") -> list[Path]:
    """Draw how the run learnt and what it scored."""
    return draw_run(run, unit="nats/token")


def report(run: "Run", data: Pairs, part: str) -> list[str]:
    """The first answers that are wrong, with what was said before them."""
    own: Part = getattr(data, part)
    lines: list[str] = []
    for number, one in enumerate(answers(run.model, data, own, data.search)):
        if WORD.findall(one.found) != WORD.findall(one.wanted) and len(lines) < SHOWN:
            said = turns_of(one.source)[-1]
            place = own.store[int(own.rows[number])].place
            lines.append(f"{place}\n  {said.speaker}: {said.text}\n  says   {one.found}\n  wanted {one.wanted}")
    return lines
