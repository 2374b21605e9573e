"""The scores to beat: the answer given most often, and the one that was given to the most similar words."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from recurra.baselines.translation_memory import TranslationMemory
from recurra.data.dialogues import USER, turns_of
from recurra.metrics.score import Score
from recurra.tasks.dialogue.scoring import accuracies
from recurra.tasks.translation.baselines import MOST_PAIRS, words
from recurra.tasks.translation.reading import Pairs, Part, plain
from recurra.tasks.translation.scoring import Answer, signature

if TYPE_CHECKING:
    from recurra.tasks.run import Run

LAST = 3
"""Turns before an answer that are compared."""


def prepare_baselines(run: "Run") -> None:
    """Nothing: all are counted."""


def baselines(run: "Run", data: Pairs, part: str) -> dict[str, list[Score]]:
    """Scores of the commonest answer, and of that to the most similar last turns of the training part."""
    own: Pairs = run.data  # counted in the run's own training part, whatever is scored
    return {name: score(own, data, part) for name, score in COUNTED.items()}


def score_commonest(own: Pairs, data: Pairs, part: str) -> list[Score]:
    """Scores of the commonest answer of the training part of ``own``."""
    train = _remembered(own.train)
    commonest = Counter(own.train.store[row].target for row in train).most_common(1)[0][0]
    return _score(lambda history: commonest, data, part, f"the commonest of {len(train)}")


def score_memory(own: Pairs, data: Pairs, part: str) -> list[Score]:
    """Scores of the answer to the most similar last turns of the training part of ``own``."""
    train = _remembered(own.train)
    memory = TranslationMemory((_words(own.train.store[row].source), own.train.store[row].target) for row in train)
    told = f"to the nearest of {len(train)} by words of {LAST} turns"
    return _score(lambda history: memory.translate(_words(history)), data, part, told)


COUNTED: dict[str, Callable[[Pairs, Pairs, str], list[Score]]] = {
    "commonest": score_commonest,
    "memory": score_memory,
}


def _remembered(part: Part) -> list[int]:
    return part.rows[:MOST_PAIRS].tolist()


def _score(answer: Callable[[str], str], data: Pairs, part: str, told: str) -> list[Score]:
    """Scores of what is answered to a history."""
    scored: Part = getattr(data, part)
    lower, found = data.sides.target.lower, []
    for row in scored.rows.tolist():
        source, target, _ = scored.store[row]
        found.append(Answer(source, plain(target, lower), plain(answer(source), lower)))
    return accuracies(found, scored, f"{signature(data, part)}|{told}")


def _words(history: str) -> list[str]:
    """The words of the last turns, those of the last one marked as such."""
    turns = turns_of(history)[-LAST:]
    before = [word for turn in turns[:-1] for word in words(turn.text)]
    return before + [f"{USER}:{word}" for turn in turns[-1:] for word in words(turn.text)]
