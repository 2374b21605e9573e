"""What a tagger's run shows: how it learnt, what it scored beside the baselines, and what it mistook for what."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recurra.tasks.charts import draw_confusion
from recurra.tasks.pictures import draw_run, picture_folder
from recurra.tasks.tagging.known import Known
from recurra.tasks.tagging.scoring import Answer, Data, answers

if TYPE_CHECKING:
    from recurra.tasks.run import Run

WORST = 5
"""Sentences that a report quotes."""


def present(run: "Run") -> list[Path]:
    """Draw how the run learnt and, where it has finished, what it scored and what it mistook for what."""
    pictures = draw_run(run, unit="nats/token")
    if run.folder.finished:
        found = list(answers(run.model, run.data, run.data.labels.test))
        pictures.append(_draw(picture_folder(run), found, run.data.known, "test"))
    return pictures


def report(run: "Run", data: Data, part: str) -> list[str]:
    """The picture of confusions, and the sentences with the most wrong tags."""
    sentences = getattr(data.labels, part)
    found = list(answers(run.model, data, sentences))
    lines = [str(_draw(picture_folder(run), found, data.known, part))]
    wrong = np.array([sum(map(str.__ne__, one.given, one.found)) for one in found])
    for number in np.argsort(-wrong, kind="stable")[:WORST]:
        if wrong[number]:
            lines.append(f"{sentences.place(int(number), 0)}: {wrong[number]} wrong: {_marked(found[number])}")
    return lines


def _marked(answer: Answer) -> str:
    """The words of a sentence, the wrong ones with their tag and the one found."""
    pairs = zip(answer.words, answer.given, answer.found, strict=True)
    return " ".join(word if one == other else f"{word}[{one}, not {other}]" for word, one, other in pairs)


def _draw(folder: Path, found: Sequence[Answer], known: Known, part: str) -> Path:
    given = [known.label(tag) for one in found for tag in one.given]
    predicted = [known.label(tag) for one in found for tag in one.found]
    path = folder / f"confusion-{part}.png"
    return draw_confusion(path, given, predicted, title=f"Tags of the {part} part")
