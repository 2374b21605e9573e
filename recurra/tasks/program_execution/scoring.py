"""How much of what programs print a network gets right."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from recurra.data.programs import Level, Program
from recurra.decoding.greedy import greedy
from recurra.metrics.score import Score
from recurra.models.cross_entropy import IGNORED
from recurra.models.executor import Executor
from recurra.tasks.program_execution.config import Config
from recurra.tasks.program_execution.problems import BOUNDARY, batch, goal, part, read_code, write_answer

ROWS = 250
"""Problems run at once."""

SPARE = 8
"""Characters that an answer may have besides as many as its problem."""


class Data(NamedTuple):
    """The dev and the test part, of the hardest problems."""

    config: Config
    dev: list[Program]
    test: list[Program]


def make_data(config: Config) -> Data:
    """The parts of a configuration."""
    return Data(config, part("dev", goal(config), config), part("test", goal(config), config))


@torch.no_grad()
def character_accuracy(model: Executor, programs: Sequence[Program], config: Config) -> float:
    """The percent of answers' characters that are guessed right, each after the right ones before it.

    The boundary behind an answer is one of its characters.
    """
    device = next(model.parameters()).device
    right = count = 0
    for begin in range(0, len(programs), ROWS):
        tokens, wanted, lengths = (each.to(device) for each in batch(programs[begin : begin + ROWS], config))
        asked = wanted != IGNORED
        right += int((model.guesses(tokens, lengths) == wanted)[asked].sum())
        count += int(asked.sum())
    return 100 * right / count


@torch.no_grad()
def answers(model: Executor, codes: Sequence[str], config: Config) -> list[str]:
    """What the model writes for each problem, by itself."""
    device = next(model.parameters()).device
    found = []
    for begin in range(0, len(codes), ROWS):
        rows = [torch.tensor(read_code(code, config)) for code in codes[begin : begin + ROWS]]
        lengths = torch.tensor([len(row) for row in rows], device=device)
        read = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=BOUNDARY).to(device)
        state = model.begin(read, lengths)
        start = torch.full_like(lengths, BOUNDARY)
        written = greedy(model.step, start, state, end=BOUNDARY, maximum=lengths + SPARE)
        found += [write_answer(one.tokens) for one in written]
    return found


def evaluate(model: Executor, data: Data, part: str) -> list[Score]:
    """Characters right under teacher forcing, and whole answers right without it."""
    programs: list[Program] = getattr(data, part)
    characters = leading(model, data, part)
    found = answers(model, [program.code for program in programs], data.config)
    whole = sum(one == program.output for one, program in zip(found, programs, strict=True))
    return [characters, Score("exact match", 100 * whole / len(programs), "%", True, f"{signature(data, part)}|greedy")]


def leading(model: Executor, data: Data, part: str) -> Score:
    """The first of them."""
    value = character_accuracy(model, getattr(data, part), data.config)
    return Score("character accuracy", value, "%", True, f"{signature(data, part)}|teacher forcing")


def signature(data: Data, part: str) -> str:
    """What a score was measured on."""
    config = data.config
    hard = f"length={config.length}" + (f"|nesting={config.nesting}" if config.problem == "programs" else "")
    read = "|reversed" * config.reversed + "|doubled" * config.doubled
    return f"{part}|{config.problem}|{hard}{read}|problems={len(getattr(data, part))}"


def by_level(model: Executor, config: Config, size: int) -> dict[Level, float]:
    """Percent of characters right at every length and nesting up to those asked for, of ``size`` test problems each."""
    last = goal(config)
    levels = [Level(length, nesting) for nesting in range(1, last.nesting + 1) for length in range(1, last.length + 1)]
    return {level: character_accuracy(model, part("test", level, config, size), config) for level in levels}
