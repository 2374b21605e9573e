"""The scores to beat: the answer given most often, and the one that was given to the most similar words."""

from collections import Counter
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
    own: Part = run.data.train  # counted in the run's own training part, whatever is scored
    rows = own.rows[:MOST_PAIRS].tolist()
    commonest = Counter(own.store[row].target for row in rows).most_common(1)[0][0]
    memory = TranslationMemory((_words(own.store[row].source), own.store[row].target) for row in rows)
    scored: Part = getattr(data, part)
    lower, mark = data.sides.target.lower, signature(data, part)
    common, nearest = [], []
    for row in scored.rows.tolist():
        source, target, _ = scored.store[row]
        wanted = plain(target, lower)
        common.append(Answer(source, wanted, plain(commonest, lower)))
        nearest.append(Answer(source, wanted, plain(memory.translate(_words(source)), lower)))
    return {
        "commonest": accuracies(common, scored, f"{mark}|the commonest of {len(rows)}"),
        "memory": accuracies(nearest, scored, f"{mark}|to the nearest of {len(rows)} by words of {LAST} turns"),
    }


def _words(history: str) -> list[str]:
    """The words of the last turns, those of the last one marked as such."""
    turns = turns_of(history)[-LAST:]
    before = [word for turn in turns[:-1] for word in words(turn.text)]
    return before + [f"{USER}:{word}" for turn in turns[-1:] for word in words(turn.text)]
