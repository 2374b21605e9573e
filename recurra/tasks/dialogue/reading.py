"""From conversations to answers, each with what was said before it, as tokens on disk."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from recurra.data.dialogues import KNOWLEDGE, USER, conversation_of, exchanges, read_dialogues, turns_of
from recurra.data.pair_store import PairStore, keep_pairs
from recurra.data.parallel import Pair
from recurra.data.vocabulary import Vocabulary, build_vocabulary, fingerprint, load_vocabulary, save_vocabulary
from recurra.errors import BadInput
from recurra.files import write_text
from recurra.tasks.dialogue.config import Config
from recurra.tasks.sources import Sources
from recurra.tasks.translation.reading import BOUNDARY, Pairs, Side, Sides, cut_off, part_of, plain
from recurra.tasks.translation.search import Search

KNOWN = "speakers.json"


@dataclass(frozen=True)
class History:
    """What was said before as tokens: the boundary, a token for each speaker, who begins a turn, and the vocabulary's.

    Args:
        vocabulary: units of what is said.
        lower: whether it is read in lower case.
        speakers: who may speak.
        longest: tokens that are read, the last ones.
    """

    vocabulary: Vocabulary
    lower: bool
    speakers: tuple[str, ...]
    longest: int

    @property
    def size(self) -> int:
        """Different tokens."""
        return 1 + len(self.speakers) + len(self.vocabulary)

    @property
    def dtype(self) -> np.dtype:
        return np.min_scalar_type(self.size - 1)

    @property
    def fingerprint(self) -> str:
        """A hash of what the tokens of a history depend on."""
        return fingerprint(self.vocabulary) + json.dumps([self.lower, self.speakers, self.longest])

    @property
    def copies(self) -> torch.Tensor:
        """What each token is where it is written: a speaker is nothing."""
        words = torch.arange(1, len(self.vocabulary) + 1)
        return torch.cat([torch.tensor([BOUNDARY]), torch.full((len(self.speakers),), -1), words])

    def encode(self, text: str) -> np.ndarray:
        """The tokens of a history, the boundary at its end. What is too long loses its first turns, and the only turn
        left its first tokens.

        Raises:
            BadInput: a speaker that training did not see.
        """
        rows = [self._turn(speaker, said) for speaker, said in turns_of(text)]
        kept: list[np.ndarray] = []
        room = self.longest
        for row in reversed(rows):
            if len(row) > room:
                if not kept:
                    kept.append(np.append(row[:1], row[len(row) - room + 1 :]))
                break
            kept.append(row)
            room -= len(row)
        return np.concatenate([*reversed(kept), np.array([BOUNDARY])]).astype(self.dtype)

    def _turn(self, speaker: str, said: str) -> np.ndarray:
        if speaker not in self.speakers:
            raise BadInput(f"the speaker {speaker!r} is none of those trained on: {', '.join(self.speakers)}")
        words = self.vocabulary.encode(plain(said, self.lower)).astype(np.int64)
        return np.append(1 + self.speakers.index(speaker), words + 1 + len(self.speakers))

    def pieces(self, tokens: list[int]) -> list[str]:
        """Each token as text."""
        names = ["</s>", *(f"<{speaker}>" for speaker in self.speakers)]
        first = len(names)
        return [names[token] if token < first else self.vocabulary.decode([token - first]).strip() for token in tokens]


def read_in_parts(sources: Sources, config: Config, sides: Sides | None = None) -> Pairs:
    """The answers of a problem in its parts; what is not given as files is the end of the training part, a tenth or
    somewhat more, for no conversation is cut in two.

    Args:
        sides: of a run that exists; else learnt from the training part.

    Raises:
        BadInput: a file cannot be read, or has too few answers to be cut.
    """
    train, dev, test = sources.paths()
    given = {"train": train, "dev": [dev] if dev else [], "test": [test] if test else []}
    stores = {part: keep(paths, config) for part, paths in given.items() if paths}
    rows = {part: np.arange(len(store)) for part, store in stores.items()}
    for part in ("test", "dev"):
        if part not in stores:
            rows["train"], rows[part] = _cut_off(stores["train"], rows["train"], part)
    sides = sides or _learn(stores["train"], len(rows["train"]), config)
    parts = {part: part_of(stores.get(part, stores["train"]), rows[part], sides) for part in ("train", "dev", "test")}
    hashes = {path: digest for store in stores.values() for path, digest in store.hashes.items()}
    return Pairs(sides, search_of(config), None, parts["train"], parts["dev"], parts["test"], hashes)


def _cut_off(store: PairStore, rows: np.ndarray, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The rows without the last tenth and the beginning of the conversation that it begins in, and these."""
    begin = len(cut_off(rows, part)[0])
    while begin and conversation_of(store[int(rows[begin - 1])]) == conversation_of(store[int(rows[begin])]):
        begin -= 1
    if not begin:
        raise BadInput(f"the conversations are too few to cut the {part} part from; give more, or --{part} FILES")
    return rows[:begin], rows[begin:]


def read_to_score(sources: Sources, config: Config, sides: Sides) -> Pairs:
    """Conversations that are only to be scored: all of them are each part.

    Raises:
        BadInput: a file cannot be read.
    """
    train, _, test = sources.paths()
    store = keep([test] if test else train, config)
    part = part_of(store, np.arange(len(store)), sides)
    return Pairs(sides, search_of(config), None, part, part, part, store.hashes)


def search_of(config: Config) -> Search:
    """How answers are searched."""
    return Search(config.beam, config.length_penalty)


def keep(paths: list[Path], config: Config) -> PairStore:
    """The answers of files."""

    def read() -> Iterator[Pair]:
        return exchanges(read_dialogues(paths, config.encoding), config.answers)

    return keep_pairs(paths, read, "dialogue", config.answers, config.encoding)


def save_sides(sides: Sides, folder: Path) -> None:
    """Write speakers and vocabulary into a run folder."""
    assert isinstance(sides.source, History)
    write_text(folder / KNOWN, json.dumps(sides.source.speakers, ensure_ascii=False) + "\n")
    save_vocabulary(sides.source.vocabulary, folder / "vocabulary.json")


def load_sides(folder: Path, config: Config) -> Sides:
    """Read what :func:`save_sides` wrote.

    Raises:
        BadInput: a file is missing or damaged.
    """
    vocabulary = load_vocabulary(folder / "vocabulary.json")
    try:
        speakers = tuple(json.loads((folder / KNOWN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"{folder / KNOWN}: missing or damaged ({error}); copy the run folder again") from error
    return Sides(History(vocabulary, config.lower, speakers, config.history), Side(vocabulary, config.lower))


def asker(sides: Sides, config: Config) -> str:
    """The speaker whom a run answers where nothing says who speaks: the user, else the first of the others."""
    assert isinstance(sides.source, History)
    speakers = sides.source.speakers
    others = (speaker for speaker in speakers if speaker not in (config.answers, KNOWLEDGE))
    return USER if USER in speakers else next(others, speakers[0])


def _learn(store: PairStore, count: int, config: Config) -> Sides:
    """Vocabulary and speakers of the first ``count`` answers and what was said before them."""
    speakers: dict[str, None] = {}

    def lines() -> Iterator[str]:
        before, known = "", 0  # the conversation of the answer before, and the turns of its history
        for number in range(count):
            pair = store[number]
            turns, conversation = turns_of(pair.source), conversation_of(pair)
            goes_on = conversation == before
            for turn in turns[known + 1 if goes_on else 0 :]:  # an answer is a turn of the next one's history
                speakers.setdefault(turn.speaker)
                yield plain(turn.text, config.lower) + "\n"
            yield plain(pair.target, config.lower) + "\n"
            before, known = conversation, len(turns)

    vocabulary = build_vocabulary(config.unit, lines(), min_count=config.min_count, size=config.vocabulary_size)
    speakers.setdefault(config.answers)
    history = History(vocabulary, config.lower, tuple(speakers), config.history)
    return Sides(history, Side(vocabulary, config.lower))
