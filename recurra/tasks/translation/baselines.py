"""The scores to beat: the source as it stands, and the translation of the most similar source of the training part."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from recurra.baselines.translation_memory import TranslationMemory
from recurra.data.words import WORD
from recurra.metrics.score import Score
from recurra.tasks.translation.reading import Pairs, plain
from recurra.tasks.translation.scoring import Answer, score, texts_of

if TYPE_CHECKING:
    from recurra.tasks.run import Run

MOST_PAIRS = 200_000
"""Of the training part that are remembered."""


def prepare_baselines(run: "Run") -> None:
    """Nothing: all are counted."""


def baselines(run: "Run", data: Pairs, part: str) -> dict[str, list[Score]]:
    """Scores of a copy, and of a translation memory."""
    own: Pairs = run.data  # remembered from the run's own training part, whatever is scored
    return {name: score_one(own, data, part) for name, score_one in COUNTED.items()}


def score_copy(own: Pairs, data: Pairs, part: str) -> list[Score]:
    """Scores of the source as it stands.

    Args:
        own: what would be learnt from.
    """
    lower = own.sides.target.lower
    pairs = texts_of(getattr(data, part), data.sides.target)
    return score([Answer(source, wanted, plain(source, lower)) for source, wanted in pairs], data, part, "the source")


def score_memory(own: Pairs, data: Pairs, part: str) -> list[Score]:
    """Scores of the translation of the nearest source of the training part of ``own``."""
    train, lower = own.train.rows[:MOST_PAIRS].tolist(), own.sides.target.lower
    memory = TranslationMemory((words(own.train.store[row].source), own.train.store[row].target) for row in train)
    pairs = texts_of(getattr(data, part), data.sides.target)
    found = [Answer(source, wanted, plain(memory.translate(words(source)), lower)) for source, wanted in pairs]
    return score(found, data, part, f"the nearest of {len(train)} by weighted words")


COUNTED: dict[str, Callable[[Pairs, Pairs, str], list[Score]]] = {
    "copy": score_copy,
    "translation-memory": score_memory,
}


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return [word for word in WORD.findall(text.lower()) if word.strip()]
