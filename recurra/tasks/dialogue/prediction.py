"""Answers to new conversations, a line for each."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recurra.data import standard_input
from recurra.data.dialogues import Dialogue, Turn, clean, history, read_dialogues
from recurra.errors import BadInput
from recurra.tasks.dialogue.reading import asker, load_sides, search_of
from recurra.tasks.translation.prediction import AT_ONCE
from recurra.tasks.translation.reading import Sides
from recurra.tasks.translation.translating import translate

if TYPE_CHECKING:
    from recurra.tasks.run import Run


def predict(run: "Run", source: str, *, stream: bool) -> Iterator[str]:
    """What the run would say next in each conversation.

    Args:
        source: a file of conversations; or "-" for standard input, each of whose lines is what a user begins with.
        stream: answer each line as it comes.

    Raises:
        BadInput: the input cannot be read, or has a speaker that training did not see.
    """
    sides, search = load_sides(run.path, run.config), search_of(run.config)
    if source == "-":
        speaker = asker(sides, run.config)
        given: Iterator[Dialogue] = (
            Dialogue((Turn(speaker, clean(line)),), f"standard input: line {number}")
            for number, line in enumerate(standard_input.lines(), 1)
        )
    elif Path(source).is_file():
        given = read_dialogues([Path(source)], run.config.encoding)
    else:
        raise BadInput(f"{source}: no such file; check the path")
    while block := list(islice(given, 1 if stream else AT_ONCE)):
        for best in translate(run.model, [_tokens(sides, dialogue) for dialogue in block], search):
            yield sides.target.decode(best[0].tokens) + "\n"


def _tokens(sides: Sides, dialogue: Dialogue) -> np.ndarray:
    try:
        return sides.source.encode(history(dialogue.turns))
    except BadInput as error:
        raise BadInput(f"{dialogue.place}: {error}") from error
