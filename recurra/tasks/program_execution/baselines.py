"""The scores to beat: the answers seen most often, character by character."""

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from recurra.data.programs import Program, problems
from recurra.metrics.score import Score
from recurra.tasks.program_execution.problems import goal
from recurra.tasks.program_execution.scoring import Data, signature

if TYPE_CHECKING:
    from recurra.tasks.run import Run

COUNTED = 20_000
"""Problems that are counted."""

END = ""


def prepare_baselines(run: "Run") -> None:
    """Nothing: all are counted."""


def baselines(run: "Run", data: Data, part: str) -> dict[str, list[Score]]:
    """Scores of the likeliest character after the two before it at its place, whatever the problem."""
    return {BLIND: score_blind(data, part)[1]}


BLIND = "blind-trigram"


def score_blind(data: Data, part: str) -> tuple[int, list[Score]]:
    """How many contexts were counted, and the scores."""
    config = data.config
    drawn = islice(problems("train", config.problem, goal(config), seed=1), COUNTED)
    counts: dict[tuple[int, str], Counter[str]] = {}
    for program in drawn:
        for key, letter in _contexts(program):
            counts.setdefault(key, Counter())[letter] += 1
    best = {key: max(sorted(found), key=found.__getitem__) for key, found in counts.items()}
    programs: list[Program] = getattr(data, part)
    asked = [(best.get(key, END), letter) for program in programs for key, letter in _contexts(program)]
    right = sum(guess == letter for guess, letter in asked)
    mark = f"{signature(data, part)}|teacher forcing"
    return len(best), [Score("character accuracy", 100 * right / len(asked), "%", True, mark)]


def _contexts(program: Program) -> list[tuple[tuple[int, str], str]]:
    """Each character of an answer, the end included, with its place and the two before it."""
    text = program.output
    return [
        ((place, text[max(0, place - 2) : place]), (text + "\0")[place].strip("\0")) for place in range(len(text) + 1)
    ]
