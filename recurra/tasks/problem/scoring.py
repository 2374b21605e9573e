"""How well a problem is answered, and whether it counts as solved."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.data.problems.draws import DEV, TEST
from recurra.data.problems.problem import Examples, Problem
from recurra.metrics.score import Score
from recurra.tasks.problem.problems import Data

SEEDS = {"dev": DEV, "test": TEST}

NUMBERS = 4_000_000
"""Features of the sequences that are answered at once, at most."""

DEV_REACH = 2
"""The dev part of a language has strings up to this many times the largest n of training: the weights that are kept are
those that count best behind what they learnt."""

REACH = 10
"""Strings of a language are tried up to this many times the largest n of training."""

Answer = Callable[[Examples], Tensor]


class Outcome(NamedTuple):
    """What some answers came to.

    Args:
        loss: the mean of the problem's own, an answer.
        error: the mean absolute error of the judged numbers; 0 for what are none.
        answers: percent of all answers that are right.
        sequences: percent of sequences in which all judged answers are.
    """

    loss: float
    error: float
    answers: float
    sequences: float
    solved: bool


@dataclass
class _Sums:
    loss: float = 0.0
    answers: int = 0
    answers_right: int = 0
    error: float = 0.0
    judged: int = 0
    sequences: int = 0
    sequences_right: int = 0


def answer_of(model: nn.Module) -> Answer:
    """What a network answers, on its own device and in its own precision."""
    own = next(model.parameters())

    @torch.no_grad()
    def answer(examples: Examples) -> Tensor:
        lengths = None if examples.lengths is None else examples.lengths.to(own.device)
        outputs: Tensor = model(examples.x.to(own), lengths)
        return outputs.to(examples.x)

    return answer


def judge(problem: Problem, answer: Answer, parts: Iterator[Examples]) -> Outcome:
    """What an answer comes to on examples."""
    sums = _Sums()
    for examples in parts:
        outputs = answer(examples)
        right = problem.right(outputs, examples.truth)
        count = int(examples.mask.sum())
        sums.loss += float(problem.loss(outputs, examples.target, examples.mask)) * count
        sums.answers += count
        sums.answers_right += int((right & examples.mask).sum())
        if problem.kind == "numbers":
            sums.error += float((outputs - examples.truth).abs().mean(2)[examples.judged].sum())
        sums.judged += int(examples.judged.sum())
        sums.sequences += len(right)
        sums.sequences_right += int((right | ~examples.judged).all(1).sum())
    error, right_part = sums.error / sums.judged, sums.sequences_right / sums.sequences
    wanted = problem.criterion
    precise = wanted.mean_error is None or error < wanted.mean_error
    return Outcome(
        sums.loss / sums.answers,
        error,
        100 * sums.answers_right / sums.answers,
        100 * right_part,
        precise and sums.sequences - sums.sequences_right <= wanted.wrong * sums.sequences,
    )


def parts(problem: Problem, seed: int, size: int, lag: int | None = None) -> Iterator[Examples]:
    """The first examples of a seed, some at a time; of a language with a string for each n, all up to the lag."""
    lag = problem.lag if lag is None else lag
    rows = max(1, min(256, NUMBERS // (lag * problem.inputs)))
    if problem.strings is not None:
        for begin in range(1, lag + 1, rows):
            yield problem.strings(range(begin, min(begin + rows, lag + 1)))
        return
    for begin in range(0, size, rows):
        yield problem.examples(seed, range(begin, min(begin + rows, size)), lag)


def outcome(data: Data, answer: Answer, part: str) -> Outcome:
    """What an answer comes to on a part; whether a language is solved, strings up to the largest n of training say."""
    problem, size = data.problem, data.config.part_size
    found = judge(problem, answer, parts(problem, SEEDS[part], size))
    if part == "dev" and problem.strings is not None:
        longer = judge(problem, answer, parts(problem, SEEDS[part], size, DEV_REACH * problem.lag))
        return longer._replace(solved=found.solved)
    return found


def evaluate(model: nn.Module, data: Data, part: str) -> list[Score]:
    """The loss, how much is right, and whether the problem counts as solved; of a language, how far it is known."""
    return scores(data, answer_of(model), part)


def scores(data: Data, answer: Answer, part: str) -> list[Score]:
    """Those of any answer."""
    found, problem, mark = outcome(data, answer, part), data.problem, signature(data, part)
    all_right = Score("sequences right", found.sequences, "%", True, mark)
    solved = Score("solved", float(found.solved), "1 is yes", True, f"{mark}|{problem.criterion.text}")
    numbers = problem.kind == "numbers"
    second = (
        Score("absolute error", found.error, problem.unit, False, mark)
        if numbers
        else Score("answers right", found.answers, "%", True, mark)
    )
    listed = [leading(data, found, part), second, all_right, solved]
    if problem.strings is not None:
        last = REACH * problem.lag
        listed.append(Score("accepted up to", accepted(problem, answer, last), "n", True, f"{mark}|tried up to {last}"))
    return listed


def leading(data: Data, found: Outcome, part: str) -> Score:
    """The first of them."""
    kind, unit = data.problem.kind, data.problem.unit
    name = "squared error" if kind == "numbers" else "cross-entropy"
    of = {"numbers": f"{unit}²", "classes": "nats", "bits": "nats/bit"}[kind]
    return Score(name, found.loss, of, False, signature(data, part))


def accepted(problem: Problem, answer: Answer, last: int) -> int:
    """The largest n up to which every string of a language is accepted, ``last`` at most."""
    assert problem.strings is not None
    step = max(1, NUMBERS // (3 * last * problem.inputs * 64))
    for begin in range(1, last + 1, step):
        examples = problem.strings(range(begin, min(begin + step, last + 1)))
        right = (problem.right(answer(examples), examples.truth) | ~examples.judged).all(1)
        if not right.all():
            return begin + int(right.long().argmin()) - 1
    return last


def signature(data: Data, part: str) -> str:
    """What a score was measured on."""
    problem, config = data.problem, data.config
    own = "".join(f"|{name}={value}" for name in ("symbols", "shape") if (value := getattr(config, name)) is not None)
    count = f"|sequences={config.part_size}"
    if problem.strings is not None:
        count = f"|n up to {DEV_REACH * problem.lag}" if part == "dev" else ""
    return f"{part}|{problem.name}|lag={problem.lag}{own}{count}"
