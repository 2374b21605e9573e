"""A conversation with a run."""

import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.data.dialogues import Turn, clean, history, read_dialogues
from recurra.errors import BadInput
from recurra.files import write_text
from recurra.tasks.dialogue.reading import asker, load_sides, search_of
from recurra.tasks.translation.translating import translate

if TYPE_CHECKING:
    from recurra.tasks.run import Run


class Chat:
    """A conversation; whatever is said stays in ``turns``.

    Args:
        run: who answers.
        transcript: a file that every turn is added to as soon as it is there; None for none. Conversations in it are
            told apart by when they began.

    Raises:
        BadInput: the transcript cannot be written.
    """

    def __init__(self, run: "Run", transcript: Path | None = None) -> None:
        self._run, self._sides, self._search = run, load_sides(run.path, run.config), search_of(run.config)
        self._speaker, self._transcript = asker(self._sides, run.config), transcript
        self._write("")
        self.reset()

    def answer(self, said: str) -> str:
        """What the run says to this and all that was said before.

        Raises:
            BadInput: the transcript cannot be written.
        """
        self._add(Turn(self._speaker, clean(said)))
        (best,) = translate(self._run.model, [self._sides.source.encode(history(self.turns))], self._search)
        text = self._sides.target.decode(best[0].tokens)
        self._add(Turn(self._run.config.answers, text))
        return text

    def reset(self) -> None:
        """Begin anew."""
        self.turns: list[Turn] = []
        self._began = datetime.now().isoformat()

    def save(self, path: Path) -> None:
        """Write the conversation as one line of JSON that `load`, and ``recurra fit dialogue``, read.

        Raises:
            BadInput: it cannot be written, or its name is not that of JSON lines.
        """
        if path.suffix != ".jsonl":
            raise BadInput(f"{path}: a conversation is kept as JSON lines; name it {path.with_suffix('.jsonl')}")
        write_text(path, json.dumps({"turns": [turn._asdict() for turn in self.turns]}, ensure_ascii=False) + "\n")

    def load(self, path: Path) -> None:
        """Go on with the first conversation of a file.

        Raises:
            BadInput: it cannot be read, or has a speaker that training did not see.
        """
        turns = list(next(read_dialogues([path])).turns)
        self._sides.source.encode(history(turns))
        self.reset()
        for turn in turns:
            self._add(turn)

    def _add(self, turn: Turn) -> None:
        self.turns.append(turn)
        self._write(json.dumps({"dialogue": self._began, **turn._asdict()}, ensure_ascii=False) + "\n")

    def _write(self, text: str) -> None:
        if self._transcript is None:
            return
        try:
            with self._transcript.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BadInput(f"{self._transcript}: {error.strerror}; name another file by --transcript") from error


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
