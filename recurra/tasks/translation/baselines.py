"""The scores to beat: the source as it stands, and the translation of the most similar source of the training part."""

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
    pairs = list(texts_of(getattr(data, part), data.sides.target))
    lower = own.sides.target.lower
    copied = [Answer(source, wanted, plain(source, lower)) for source, wanted in pairs]
    train = own.train.rows[:MOST_PAIRS].tolist()
    memory = TranslationMemory((words(own.train.store[row].source), own.train.store[row].target) for row in train)
    remembered = [Answer(source, wanted, plain(memory.translate(words(source)), lower)) for source, wanted in pairs]
    return {
        "copy": score(copied, data, part, "the source itself"),
        "translation-memory": score(remembered, data, part, f"the nearest of {len(train)} by weighted words"),
    }


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return [word for word in WORD.findall(text.lower()) if word.strip()]
