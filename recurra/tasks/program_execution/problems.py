"""Problems as a network reads them, and how hard they are while it learns."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from recurra.data.programs import ALPHABET, Level, Program, Split, draw_of, mixed, problems
from recurra.errors import BadInput
from recurra.models.cross_entropy import IGNORED
from recurra.models.executor import Executor
from recurra.tasks.program_execution.config import Config

BOUNDARY = 0
"""The token between a problem and its answer, and behind that; those of `ALPHABET` follow it."""

SIZE = len(ALPHABET) + 1
_NUMBERS = {letter: number for number, letter in enumerate(ALPHABET, 1)}


class Batch(NamedTuple):
    """Problems and answers side by side; see :meth:`Executor.loss`."""

    tokens: Int[Tensor, "B T"]
    wanted: Int[Tensor, "B T"]
    lengths: Int[Tensor, " B"]


def goal(config: Config) -> Level:
    """The hardest problems that are asked for."""
    return Level(config.length, config.nesting if config.problem == "programs" else 1)


def read_code(code: str, config: Config) -> list[int]:
    """The tokens of a problem, in the order and as often as they are read.

    Raises:
        BadInput: a character that no problem has.
    """
    strange = next((letter for letter in code if letter not in _NUMBERS), None)
    if strange is not None:
        raise BadInput(f"the character {strange!r} is in no program that was learnt; those are {ALPHABET.strip()}")
    tokens = [_NUMBERS[letter] for letter in code]
    tokens = tokens[::-1] if config.reversed else tokens
    return tokens * 2 if config.doubled else tokens


def write_answer(tokens: Sequence[int]) -> str:
    """The text of an answer, up to its boundary."""
    end = tokens.index(BOUNDARY) if BOUNDARY in tokens else len(tokens)
    return "".join(ALPHABET[token - 1] for token in tokens[:end])


def batch(programs: Sequence[Program], config: Config) -> Batch:
    """Problems with their answers, as a network is trained on them."""
    rows, targets = [], []
    for program in programs:
        read = read_code(program.code, config)
        answer = [*(_NUMBERS[letter] for letter in program.output), BOUNDARY]
        rows.append(torch.tensor([*read, BOUNDARY, *answer[:-1]]))
        targets.append(torch.tensor([*[IGNORED] * len(read), *answer]))
    pad = torch.nn.utils.rnn.pad_sequence
    return Batch(
        pad(rows, batch_first=True, padding_value=BOUNDARY),
        pad(targets, batch_first=True, padding_value=IGNORED),
        torch.tensor([len(row) for row in rows]),
    )


def part(split: Split, level: Level, config: Config, size: int | None = None) -> list[Program]:
    """The first problems of a part; the same ones in every run."""
    drawn = problems(split, config.problem, level, seed=0)
    return [next(drawn) for _ in range(size or config.part_size)]


@dataclass(frozen=True)
class TrainingBatches:
    """A round of training. How hard a batch's problems are the model says when it is asked for."""

    model: Executor
    config: Config
    epoch: int

    def __len__(self) -> int:
        return -(-self.config.epoch_size // self.config.batch_size)

    def __getitem__(self, index: int) -> Batch:
        generator = random.Random(f"{self.config.seed} {self.epoch} {index}")
        programs = []
        for _ in range(self.config.batch_size):
            level = self._level(generator)
            programs.append(draw_of("train", self.config.problem, level, generator))
        return batch(programs, self.config)

    def _level(self, generator: random.Random) -> Level:
        """How hard a problem is to be.

        Source: Zaremba and Sutskever (2014), section 4.
        """
        reached, last = Level(*self.model.level.tolist()), goal(self.config)
        match self.config.curriculum:
            case "none":
                return last
            case "naive":
                return reached
            case "mixed":
                return mixed(last, generator)
        return reached if generator.random() < 0.5 else mixed(last, generator)


def promoted(level: Level, last: Level) -> Level:
    """The next level: more digits until there are as many as there will be, then one operation more and one digit."""
    if level.length < last.length:
        return level._replace(length=level.length + 1)
    return Level(1, level.nesting + 1) if level.nesting < last.nesting else level
