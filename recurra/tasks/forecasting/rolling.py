"""Backtests: forecasts from several origins, one after the other, by one model or by one trained anew for each."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recurra.errors import BadInput
from recurra.metrics.score import Score
from recurra.tasks.forecasting.baselines import SAME, baselines
from recurra.tasks.forecasting.batches import Origins
from recurra.tasks.forecasting.reading import Data
from recurra.tasks.forecasting.scoring import Scorer, network

if TYPE_CHECKING:
    from recurra.tasks.run import Run

Scores = dict[str, list[Score]]

OWN = (
    "cell", "layers", "model", "residual", "patch", "embedding_size", "dropout", "paths", "optimizer", "weight_decay",
    "schedule", "clip_norm", "early_stopping", "time_limit", "validate_every", "precision",
)  # fmt: skip
"""Options of a run, beyond those that a window network has too, that it is trained anew with."""


def roll(run: "Run", origins: int, *, refit: bool) -> Scores:
    """The scores of so many origins, of the model and of the baselines on the same windows.

    Args:
        refit: train anew for every origin, on what lies before it; origins are a horizon apart then, and the runs lie
            in the run's folder. Else they spread evenly over the test part, which the model was not trained on.

    Raises:
        BadInput: the test part, or the series, are too short for so many.
    """
    return _refit(run, origins) if refit else _spread(run, origins)


def _spread(run: "Run", origins: int) -> Scores:
    data: Data = run.data
    begin, end = data.bounds("test")
    possible = int((end - begin - data.meaning.horizon + 1).max())
    if possible < origins:
        raise BadInput(
            f"--rolling {origins}: the test part has room for {possible} origins with a horizon of "
            f"{data.meaning.horizon}; take fewer, train with a larger --test-size, or add --refit"
        )
    stride = max(1, (possible - 1) // max(1, origins - 1))
    whole = Origins(data, "test", stride=stride, most=origins)
    cuts = whole[np.arange(len(whole))]
    scorer = Scorer(data, "test", cuts)
    settings = f"{origins} origins, {stride} steps apart"
    return {"model": scorer.score(network(run.model, data), settings), **baselines(run, data, "test", cuts)}


def _refit(run: "Run", origins: int) -> Scores:
    from recurra.tasks.run import fit

    data: Data = run.data
    if (data.panel.test >= 0).any() or data.config.train_size is not None:
        raise BadInput(f"{run.path}: has a test part of its own, so it is not trained anew; leave out --refit")
    horizon, grid = data.meaning.horizon, data.panel.grid
    latest = int(grid.times(data.panel.starts, data.split.end - 1).max())
    given = {name: getattr(run.config, name) for name in (*SAME, *OWN)}
    found: list[Scores] = []
    for back in reversed(range(origins)):
        until = grid.written(grid.times(np.array([latest]), np.array([-back * horizon])))[0]
        print(f"trained anew, up to {horizon} steps before {until}", file=sys.stderr)
        own = {"until": until, "test_size": horizon, "dev_size": run.config.dev_size or horizon}
        again = fit(
            run.task_name,
            *run.sources.train,
            out=_folder(run.path, until),
            resume=True,
            baselines=False,
            **{**given, **own},
        )
        found.append({"model": again.final_scores()["model"], **baselines(again, again.data, "test")})
    return {name: _mean([scores[name] for scores in found], origins) for name in found[0]}


def _folder(path: Path, until: str) -> Path:
    return path / "rolling" / until.replace(":", "-").replace(" ", "T")


def _mean(scores: list[list[Score]], origins: int) -> list[Score]:
    """Of scores that were measured alike at every origin."""
    return [
        Score(
            own[0].name,
            float(np.mean([score.value for score in own])),
            own[0].unit,
            own[0].higher_is_better,
            f"mean of {origins} origins, trained anew for each|{own[-1].signature}",
        )
        for own in zip(*scores, strict=True)
    ]
