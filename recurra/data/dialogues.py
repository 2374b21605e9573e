"""Conversations from files: turns, each said by someone, and what was said before each."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from recurra.data.lines import json_of, open_text, read_lines
from recurra.data.parallel import Pair, composed
from recurra.data.text import files_of
from recurra.errors import BadInput

USER, BOT, KNOWLEDGE = "user", "bot", "knowledge"
"""Who speaks where a format does not say; `KNOWLEDGE` is what a dialogue's file tells besides what was said."""

TURN, WORDS = "\x1e", "\x1f"
"""In a history as one text: between turns, and between a speaker and what was said."""


class Turn(NamedTuple):
    """What someone says."""

    speaker: str
    text: str


class Dialogue(NamedTuple):
    """A conversation; ``place`` is the file and line where it begins."""

    turns: tuple[Turn, ...]
    place: str


def read_dialogues(paths: Sequence[Path], encoding: str = "utf-8") -> Iterator[Dialogue]:
    """The conversations of files, one at a time in memory; gzip allowed.

    ``.jsonl``: an object a line, either a whole conversation, ``{"turns": […]}`` of texts (user and bot in turn) or of
    objects with ``speaker`` and ``text``, or one turn of the conversation ``dialogue``. ``.json``: CamRest676's list.
    Anything else: bAbI's lines, ``number user<tab>bot``, with an empty line between conversations; a line without a tab
    is knowledge.

    Raises:
        BadInput: a file that is none of these; the message names the line.
    """
    for path in paths:
        files_of(path)
        suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
        kinds = {".jsonl": _lines_of_json, ".json": _camrest}
        found = kinds.get(suffix, _babi)(path, encoding)
        count = 0
        for dialogue in found:
            count += 1
            yield dialogue
        if not count:
            raise BadInput(f"{path}: holds no conversations; give a file that has some")


def history(turns: Sequence[Turn]) -> str:
    """Turns as one text, from which `turns_of` gives them back."""
    return TURN.join(f"{turn.speaker}{WORDS}{turn.text}" for turn in turns)


def turns_of(text: str) -> list[Turn]:
    """The turns of a history."""
    parted = (turn.partition(WORDS) for turn in text.split(TURN)) if text else ()
    return [Turn(speaker, words) for speaker, _, words in parted]


def exchanges(dialogues: Iterator[Dialogue], speaker: str) -> Iterator[Pair]:
    """All that a speaker says, each with everything said before it as one text, in order."""
    for turns, place in dialogues:
        for number, turn in enumerate(turns):
            if turn.speaker == speaker and number:
                yield Pair(history(turns[:number]), turn.text, f"{place}, turn {number + 1}")


def conversation_of(pair: Pair) -> str:
    """Where the conversation of an exchange begins."""
    return pair.place.rpartition(", turn ")[0]


def clean(text: str) -> str:
    """What is said as it is kept: single blanks, composed characters, and none of the marks of a history."""
    return composed(re.sub(f"[{TURN}{WORDS}]", " ", " ".join(text.split())))


def _lines_of_json(path: Path, encoding: str) -> Iterator[Dialogue]:
    single: list[tuple[str, Turn, str]] = []
    for number, line in read_lines(path, encoding):
        place = f"{path}: line {number}"
        if not line.strip():
            continue
        try:
            record = json_of(line)
        except ValueError as error:
            raise BadInput(f"{place} is no JSON ({error}); write one object a line") from error
        if isinstance(record, dict) and isinstance(record.get("turns"), list):
            yield dialogue_of(record, place)
        elif isinstance(record, dict) and "dialogue" in record:
            if single and str(record["dialogue"]) != single[-1][0]:
                yield from _together(single)
                single = []
            single.append((str(record["dialogue"]), _turn(record, len(single), place), place))
        else:
            wanted = 'write {"turns": [...]}, or {"dialogue": ..., "speaker": ..., "text": ...}'
            raise BadInput(f"{place} is no conversation and no turn of one; {wanted}")
    yield from _together(single)


def dialogue_of(record: dict[str, Any], place: str) -> Dialogue:
    """The conversation of a record with ``turns``.

    Raises:
        BadInput: a turn is no text; the message begins with ``place``.
    """
    return Dialogue(tuple(_turn(turn, index, place) for index, turn in enumerate(record["turns"])), place)


def _together(single: Sequence[tuple[str, Turn, str]]) -> Iterator[Dialogue]:
    for _, group in groupby(single, key=lambda each: each[0]):
        own = list(group)
        yield Dialogue(tuple(turn for _, turn, _ in own), own[0][2])


def _turn(given: Any, index: int, place: str) -> Turn:
    speaker = (USER, BOT)[index % 2]
    if isinstance(given, dict):
        given, speaker = given.get("text"), given.get("speaker", speaker)
    if not isinstance(given, str) or not isinstance(speaker, str) or not speaker.strip():
        raise BadInput(f'{place}: turn {index + 1} is no text; write a text, or {{"speaker": ..., "text": ...}}')
    return Turn(clean(speaker), clean(given))


def _babi(path: Path, encoding: str) -> Iterator[Dialogue]:
    turns: list[Turn] = []
    begin = 1
    for number, line in read_lines(path, encoding):
        if not line.strip():
            if turns:
                yield Dialogue(tuple(turns), f"{path}: line {begin}")
            turns, begin = [], number + 1
            continue
        counted, _, rest = line.partition(" ")
        if not counted.isdigit() or not rest:
            wanted = 'write "1 what the user says<tab>what the bot says"'
            raise BadInput(f"{path}: line {number} does not begin with a number and a blank; {wanted}")
        said, tab, answer = rest.partition("\t")
        if tab:
            turns += [Turn(USER, clean(said)), Turn(BOT, clean(answer))]
        else:
            turns.append(Turn(KNOWLEDGE, clean(said)))
    if turns:
        yield Dialogue(tuple(turns), f"{path}: line {begin}")


def _camrest(path: Path, encoding: str) -> Iterator[Dialogue]:
    with open_text(path, encoding) as file:
        text = "".join(line for line in file if not line.startswith("#"))
    try:
        records = json_of(text)
        for number, record in enumerate(records, 1):
            said = ((turn["usr"]["transcript"], turn["sys"]["sent"]) for turn in record["dial"])
            pairs = ((Turn(USER, clean(user)), Turn(BOT, clean(bot))) for user, bot in said)
            yield Dialogue(tuple(turn for pair in pairs for turn in pair), f"{path}: dialogue {number}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: is not CamRest676's list ({error!r}); write conversations as .jsonl") from error
