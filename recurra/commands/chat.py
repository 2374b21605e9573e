"""``recurra chat RUN``."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.commands.options import RunPath


def chat(
    run: RunPath,
    /,
    *,
    transcript: Annotated[
        Path | None, Parameter(help="File that every turn is added to at once (chat.jsonl in the run folder).")
    ] = None,
) -> None:
    """Talk to a run of dialogue; /reset begins anew, /save FILE and /load FILE keep a conversation, Ctrl-D ends.

    Everything said is added to the transcript as soon as it is said, in the form that `fit dialogue` reads.
    """
    from recurra.errors import BadInput
    from recurra.tasks.dialogue.chat import Chat, respond
    from recurra.tasks.run import load
    from recurra.training.machine import own_threads

    opened = load(run)
    if opened.task_name != "dialogue":
        raise BadInput(f"{run}: a run of {opened.task_name} cannot chat; use recurra predict")
    prompt = "> " if sys.stdin.isatty() else ""
    sys.stdin.reconfigure(encoding="utf-8", errors="strict")  # type: ignore[union-attr]  # else C's is bytes in disguise
    with own_threads(opened.config):
        talk = Chat(opened, transcript or opened.path / "chat.jsonl")
        while True:
            try:
                line = input(prompt)
            except EOFError:
                return
            except UnicodeDecodeError as error:
                raise BadInput("standard input: a line is not UTF-8; pass it through iconv -t utf-8") from error
            try:
                if text := respond(talk, line.strip()):
                    print(text, flush=True)
            except BadInput as error:
                if not sys.stdin.isatty():
                    raise
                print(f"recurra: {error}", file=sys.stderr)
