"""What a classifier's run shows: how it learnt, its scores, what it confuses, how soon it knows, its worst mistakes."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recurra.errors import BadInput
from recurra.tasks.charts import BLUE, GREY, chart, draw_confusion
from recurra.tasks.classification.predicting import streams
from recurra.tasks.classification.reading import Cases, Part
from recurra.tasks.classification.scoring import probabilities, score_by_seen
from recurra.tasks.pictures import draw_run, picture_folder

if TYPE_CHECKING:
    from recurra.tasks.run import Run

WORST = 10
"""Cases shown that the model got most wrong."""

SHOWN = 100
"""Characters of a text that are shown."""


def present(run: "Run") -> list[Path]:
    """Draw how the run learnt and, where it has finished, its scores, what it confuses (not of several labels), and the
    score by how much of a case was seen.
    """
    pictures = draw_run(run, unit="nats/case")
    return [*pictures, *_of_part(run, run.data, "test", picture_folder(run))] if run.folder.finished else pictures


def report(run: "Run", data: Cases, part: str) -> list[str]:
    """The pictures, drawn of these cases, the thresholds of several labels, and the cases that were most wrong."""
    lines = [*map(str, _of_part(run, data, part, picture_folder(run))), *_worst(run, data, part)]
    return [*_thresholds(run, data), *lines] if data.meaning.multilabel else lines


def _thresholds(run: "Run", data: Cases) -> Iterator[str]:
    kept = zip(data.meaning.classes, run.model.thresholds.tolist(), strict=True)
    yield "thresholds of the greatest F1 on dev: " + ", ".join(f"{name} {threshold:.3g}" for name, threshold in kept)
    try:
        own: Part = run.data.dev
    except BadInput:  # the training data are gone
        return
    everywhere = (probabilities(run.model, own) >= run.model.thresholds.cpu().numpy()).all(0)
    for name in np.asarray(data.meaning.classes)[everywhere]:
        yield f"every case of dev gets the label {name}: the model knows too little of it, and its F1 says little"


def _of_part(run: "Run", data: Cases, part: str, folder: Path) -> Iterator[Path]:
    meaning, cases = data.meaning, getattr(data, part)
    if not meaning.multilabel:
        called = probabilities(run.model, cases).argmax(1)
        given, predicted = ([meaning.classes[number] for number in each.tolist()] for each in (cases.targets, called))
        path = folder / f"confusion-{part}.png"
        yield draw_confusion(path, given, predicted, title=f"Classes of the {part} part")
    curve = score_by_seen(run.model, data, part, streams=streams(run.config))
    how = "asked after every step" if streams(run.config) else "given cases cut short"
    name = "Micro F1" if meaning.multilabel else "Accuracy"
    yield draw_score_by_seen(folder / f"seen-{part}.png", curve, title=f"{name} by what was seen, {how}", unit="%")


def draw_score_by_seen(path: Path, curve: list[tuple[float, float]], *, title: str, unit: str) -> Path:
    """The score when only a part of each case has been seen, against that part."""
    with chart(path) as axes:
        axes.axhline(curve[-1][1], color=GREY, linewidth=1)
        axes.plot([100 * seen for seen, _ in curve], [value for _, value in curve], color=BLUE, marker="o")
        axes.set_xlabel("% of a case's steps seen")
        axes.set_ylabel(unit)
        axes.set_title(title, loc="left")
    return path


def _worst(run: "Run", data: Cases, part: str) -> Iterator[str]:
    meaning, cases = data.meaning, getattr(data, part)
    found = probabilities(run.model, cases)
    if meaning.multilabel:
        thresholds = run.model.thresholds.cpu().numpy()
        right = np.where(cases.targets > 0, found, 1 - found)
        wrong = ((found >= thresholds) != (cases.targets > 0)).any(1)
        trust = np.log(np.maximum(right, 1e-30)).sum(1)
    else:
        trust = found[np.arange(len(found)), cases.targets]
        wrong = found.argmax(1) != cases.targets
    worst = [case for case in np.argsort(trust, kind="stable").tolist() if wrong[case]][:WORST]
    yield f"{int(wrong.sum())} of {len(cases)} wrong" + ("; the worst:" if worst else "")
    for case in worst:
        yield _mistake(run, cases, case, found[case], meaning.classes)


def _mistake(run: "Run", cases: Part, case: int, found: np.ndarray, classes: tuple[str, ...]) -> str:
    if cases.targets.ndim == 1:
        given, called = classes[cases.targets[case]], classes[int(found.argmax())]
        chances = f" (p {found[cases.targets[case]]:.2g} and {found.max():.2g})"
    else:
        thresholds, chances = run.model.thresholds.cpu().numpy(), ""
        given = "+".join(classes[label] for label in np.nonzero(cases.targets[case])[0]) or "none"
        called = "+".join(classes[label] for label in np.nonzero(found >= thresholds)[0]) or "none"
    text = ""
    if cases.store.kind == "text":
        whole = " ".join(cases.store.text(int(cases.rows[case])).split())
        text = f": {whole[:SHOWN]}{'…' if len(whole) > SHOWN else ''}"
    return f"{cases.place(case)}: {given}, called {called}{chances}{text}"
