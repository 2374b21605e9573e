"""What a tagger's run shows: how it learnt, what it scored beside the baselines, and what it mistook for what."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recurra.metrics.score import Score
from recurra.tasks.charts import better, draw_bars, draw_confusion, draw_learning_curve
from recurra.tasks.tagging.known import Known
from recurra.tasks.tagging.scoring import Answer, Data, answers

if TYPE_CHECKING:
    from recurra.tasks.run import Run

WORST = 5
"""Sentences that a report quotes."""

MOST_LABELS = 40
"""Of a picture of confusions; the rarest of more are left out."""


def present(run: "Run") -> list[Path]:
    """Draw ``pictures/learning-curve.png`` and, where the run has finished, the scores and the confusions."""
    folder = run.path / "pictures"
    folder.mkdir(exist_ok=True)
    curve = draw_learning_curve(folder / "learning-curve.png", run.folder.metrics(), unit="nats/token")
    if not run.folder.finished:
        return [curve]
    scores = run.scores
    model = Score(**scores["scores"]["test"][0])
    bars = {name: Score(**found[0]).value for name, found in scores["baselines"].items()}
    name = run.config.model if run.config.model == "window" else run.config.cell
    title = f"{model.name} on the test part ({better(model.higher_is_better)})"
    bar = draw_bars(folder / "scores.png", {**bars, name: model.value}, title=title, unit=model.unit)
    found = list(answers(run.model, run.data, run.data.labels.test))
    return [curve, bar, _draw(folder, found, run.data.known, "test")]


def report(run: "Run", data: Data, part: str) -> list[str]:
    """The picture of confusions, and the sentences with the most wrong tags."""
    folder = run.path / "pictures"
    folder.mkdir(exist_ok=True)
    sentences = getattr(data.labels, part)
    found = list(answers(run.model, data, sentences))
    lines = [str(_draw(folder, found, data.known, part))]
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
    given = [_label(tag, known) for one in found for tag in one.given]
    predicted = [_label(tag, known) for one in found for tag in one.found]
    names, numbers = np.unique([*given, *predicted], return_inverse=True)
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (numbers[: len(given)], numbers[len(given) :]), 1)
    kept = np.sort(np.argsort(-counts.sum(1), kind="stable")[:MOST_LABELS])
    path = folder / f"confusion-{part}.png"
    title = f"Tags of the {part} part"
    return draw_confusion(path, counts[np.ix_(kept, kept)], [str(name) for name in names[kept]], title=title)


def _label(tag: str, known: Known) -> str:
    """Of a token, whatever its place in a span."""
    return tag.partition("-")[2] or "O" if known.marks else tag
