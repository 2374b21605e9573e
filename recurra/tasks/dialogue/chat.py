"""A conversation with a run."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.data.dialogues import USER, Turn, history, read_dialogues
from recurra.errors import BadInput
from recurra.files import write_text
from recurra.tasks.dialogue.reading import load_sides, search_of
from recurra.tasks.translation.translating import translate

if TYPE_CHECKING:
    from recurra.tasks.run import Run


class Chat:
    """A conversation; whatever is said stays in ``turns``.

    Args:
        run: who answers.
        transcript: a file that every turn is added to as soon as it is there; None for none.
    """

    def __init__(self, run: "Run", transcript: Path | None = None) -> None:
        self._run, self._sides, self._search = run, load_sides(run.path, run.config), search_of(run.config)
        self._transcript, self._number = transcript, 1
        self.turns: list[Turn] = []

    def answer(self, said: str) -> str:
        """What the run says to this and all that was said before."""
        self._add(Turn(USER, said))
        (best,) = translate(self._run.model, [self._sides.source.encode(history(self.turns))], self._search)
        text = self._sides.target.decode(best[0].tokens)
        self._add(Turn(self._run.config.answers, text))
        return text

    def reset(self) -> None:
        """Begin anew."""
        self.turns, self._number = [], self._number + 1

    def save(self, path: Path) -> None:
        """Write the conversation as one line of JSON that `load`, and ``recurra fit dialogue``, read.

        Raises:
            BadInput: it cannot be written.
        """
        write_text(path, json.dumps({"turns": [turn._asdict() for turn in self.turns]}, ensure_ascii=False) + "\n")

    def load(self, path: Path) -> None:
        """Go on with the first conversation of a file.

        Raises:
            BadInput: it cannot be read, or has a speaker that training did not see.
        """
        turns = list(next(read_dialogues([path])).turns)
        self._sides.source.encode(history(turns))
        self.reset()
        self.turns = turns

    def _add(self, turn: Turn) -> None:
        self.turns.append(turn)
        if self._transcript is not None:
            line = json.dumps({"dialogue": self._number, **turn._asdict()}, ensure_ascii=False)
            with self._transcript.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())


def respond(chat: Chat, line: str) -> str:
    """What to print for a line that was typed: an answer, or what became of a command.

    Raises:
        BadInput: a command that there is not, or that failed.
    """
    words: Sequence[str] = line.split(maxsplit=1)
    if not words:
        return ""
    match words[0], words[1:]:
        case "/reset", []:
            chat.reset()
            return "(begun anew)"
        case "/save", [name]:
            chat.save(Path(name))
            return f"(saved in {name})"
        case "/load", [name]:
            chat.load(Path(name))
            return "\n".join(f"{turn.speaker}: {turn.text}" for turn in chat.turns)
        case command, _ if command.startswith("/"):
            raise BadInput(f"{line}: no such command; there are /reset, /save FILE and /load FILE")
    return chat.answer(line)
