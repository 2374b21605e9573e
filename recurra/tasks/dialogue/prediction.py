"""Answers to new conversations, a line for each."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.data import standard_input
from recurra.data.dialogues import USER, Turn, history, read_dialogues
from recurra.data.parallel import composed
from recurra.errors import BadInput
from recurra.tasks.dialogue.reading import load_sides, search_of
from recurra.tasks.translation.prediction import AT_ONCE
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
        texts = (history([Turn(USER, composed(" ".join(line.split())))]) for line in standard_input.lines())
    elif Path(source).is_file():
        texts = (history(dialogue.turns) for dialogue in read_dialogues([Path(source)], run.config.encoding))
    else:
        raise BadInput(f"{source}: no such file; check the path")
    while block := list(islice(texts, 1 if stream else AT_ONCE)):
        for best in translate(run.model, [sides.source.encode(text) for text in block], search):
            yield sides.target.decode(best[0].tokens) + "\n"
