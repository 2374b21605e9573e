"""The network on a sliding window that stands beside every recurrent one: a run inside the run."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from recurra.metrics.score import Score

if TYPE_CHECKING:
    from recurra.tasks.run import Run

SHARE, SECONDS = 0.25, (10.0, 300.0)
"""It trains for this share of the model's own time, but for no less and no more than these."""


def train_window(run: "Run", same: Sequence[str], **own: Any) -> None:
    """Train it on the same data, unless the run is one of a window itself.

    Args:
        same: options that it shares with the run.
        own: its other options.
    """
    from recurra.tasks.run import fit

    if run.config.model == "window":
        return
    seconds = SHARE * run.folder.metrics()[-1]["seconds"]
    print("the window network, for comparison", file=sys.stderr)
    fit(
        run.task_name,
        *run.sources.train,
        dev=run.sources.dev,
        test=run.sources.test,
        out=run.path / "baselines" / "window",
        resume=True,
        baselines=False,
        model="window",
        time_limit=min(max(seconds, SECONDS[0]), SECONDS[1]),
        **{name: getattr(run.config, name) for name in same},
        **own,
    )


def score_window(
    run: "Run", evaluate: Callable[..., list[Score]], data: Any, part: str, steps: int | None = None
) -> dict[str, list[Score]]:
    """Its scores by its name; none where it was not trained.

    Args:
        evaluate: that of the task.
        steps: that it sees, where the run's options do not say.
    """
    from recurra.tasks.run import load

    window = run.path / "baselines" / "window"
    if not (window / "scores.json").exists():
        return {}
    return {f"window-{steps or run.config.window}": evaluate(load(window).model, data, part)}
