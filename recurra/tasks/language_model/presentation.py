"""The pictures of a language model's run: how it learnt, and what it scored beside the baselines."""

from pathlib import Path
from typing import TYPE_CHECKING

from recurra.metrics.score import Score
from recurra.tasks.charts import better, draw_bars, draw_learning_curve

if TYPE_CHECKING:
    from recurra.tasks.run import Run


def present(run: "Run") -> list[Path]:
    """Draw ``pictures/learning-curve.png`` and, where the run has finished, ``pictures/scores.png``."""
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
    return [curve, draw_bars(folder / "scores.png", {**bars, name: model.value}, title=title, unit=model.unit)]
