"""The scores between which a network's lie: those of an answer that remembers nothing, and of the best there is."""

from typing import TYPE_CHECKING

from recurra.metrics.score import Score
from recurra.tasks.problem.problems import Data
from recurra.tasks.problem.scoring import scores

if TYPE_CHECKING:
    from recurra.tasks.run import Run

COUNTED = ("trivial", "optimal")


def prepare_baselines(run: "Run") -> None:
    """Nothing: both are computed."""


def baselines(run: "Run", data: Data, part: str) -> dict[str, list[Score]]:
    """Scores of the trivial and of the optimal answer on the same sequences."""
    return {name: score_known(name, data, part) for name in COUNTED}


def score_known(name: str, data: Data, part: str) -> list[Score]:
    """Those of one of them."""
    return scores(data, data.problem.trivial if name == "trivial" else data.problem.optimal, part)
