"""Pictures that every task's run has: how it learnt, and what it scored beside the baselines."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.metrics.score import Score
from recurra.tasks.charts import better, draw_bars, draw_learning_curve

if TYPE_CHECKING:
    from recurra.tasks.run import Run


def picture_folder(run: "Run") -> Path:
    """Where a run's pictures lie; made if it is not there."""
    folder = run.path / "pictures"
    folder.mkdir(exist_ok=True)
    return folder


def draw_run(run: "Run", *, unit: str, beside: Callable[[Score, Score], bool] = lambda *_: True) -> list[Path]:
    """Draw ``pictures/learning-curve.png`` and, where the run has finished, ``pictures/scores.png``.

    Args:
        unit: of the loss.
        beside: whether a baseline's score can stand beside the model's.
    """
    folder = picture_folder(run)
    curve = draw_learning_curve(folder / "learning-curve.png", run.folder.metrics(), unit=unit)
    if not run.folder.finished:
        return [curve]
    scores = run.scores
    model = Score(**scores["scores"]["test"][0])
    others = {name: Score(**found[0]) for name, found in scores["baselines"].items()}
    bars = {name: score.value for name, score in others.items() if beside(score, model)}
    name = "window" if getattr(run.config, "model", None) == "window" else run.config.cell
    title = f"{model.name} on the test part ({better(model.higher_is_better)})"
    bars |= {name: model.value}
    return [curve, draw_bars(folder / "scores.png", bars, title=title, unit=model.unit, own=name)]
