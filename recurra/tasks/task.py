"""What the module of a task holds, and how it is found by its name."""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from recurra.errors import unknown
from recurra.metrics.score import Score
from recurra.tasks import TASKS
from recurra.tasks.sources import Sources
from recurra.training.problem import Problem
from recurra.training.settings import Settings

if TYPE_CHECKING:
    from recurra.tasks.comparison import Result
    from recurra.tasks.run import Run


class Task(Protocol):
    """What the module of a task holds. ``data`` is whatever its ``read`` returns.

    The functions from ``contender`` on answer verbs; a task that a verb makes no sense for has none of that name.
    """

    Config: type[Settings]

    def read(self, sources: Sources, config: Any) -> Any:
        """The data in its parts, as training needs them."""

    def read_again(self, sources: Sources, config: Any, folder: Path) -> Any:
        """The same for a run that exists, with the vocabularies in its folder."""

    def read_test(self, sources: Sources, config: Any, folder: Path) -> Any:
        """Other data, only to be scored: all of it is the part "test"."""

    def keep(self, data: Any, folder: Path) -> None:
        """Write vocabularies and the like into the run folder."""

    def hashes(self, data: Any) -> dict[str, str]:
        """The sha256 of every file read."""

    def build(self, config: Any, data: Any) -> nn.Module:
        """The model with fresh weights."""

    def load(self, config: Any, folder: Path) -> nn.Module:
        """The model of a run folder, before its weights are loaded."""

    def problem(self, config: Any, data: Any, model: nn.Module) -> Problem:
        """What the training loop needs."""

    def evaluate(self, model: nn.Module, data: Any, part: str) -> list[Score]:
        """Scores on one part, the one to look at first leading."""

    def prepare_baselines(self, run: "Run") -> None:
        """Train those baselines that take more than counting, inside the run folder."""

    def baselines(self, run: "Run", data: Any, part: str) -> dict[str, list[Score]]:
        """The scores to beat on the same part, by the baseline's name."""

    def present(self, run: "Run") -> list[Path]:
        """Draw what the run shows; returns the pictures."""

    def contender(self, name: str) -> dict[str, Any] | None:
        """The options that make what a comparison calls ``name``; None where :meth:`count` makes it, untrained."""

    def count(self, name: str, data: Any) -> tuple[int, float, dict[str, list[Score]]]:
        """Parameters, seconds, and scores by part of a contender without weights to train."""

    def draw_comparison(self, path: Path, results: "Sequence[Result]") -> list[Path]:
        """Draw what a comparison of this task shows, into its folder; nothing where the usual charts say it."""

    def fit_stream(self, *data: str | Path, out: str | Path, **options: Any) -> "Run":
        """A run that learns online, from a stream that is read once; the other arguments are those of ``fit``."""

    def sample(self, run: "Run", **options: Any) -> Iterator[str]:
        """New sequences from the model."""

    def predict(self, run: "Run", source: Any, *, stream: bool, **options: Any) -> Iterator[str]:
        """What the model says of new input, in pieces of text in the form of that input.

        Args:
            source: a file or folder; "-" for standard input; None, of a task with ``predict_table``, for its own data.
            stream: answer each step as it comes, from a state of constant size.
            options: of a search, where the task has one.
        """

    def predict_table(self, run: "Run", source: str | None, out: Path, **options: Any) -> None:
        """The same as a Parquet file."""

    def as_files(self, data: "Sequence[Any]") -> "tuple[str | Path, ...]":
        """Files that hold what a caller gave: data frames are written, files are as they are."""

    def forecast(self, run: "Run", data: Any = None, **options: Any) -> Any:
        """What comes next, as a data frame."""

    def roll(self, run: "Run", origins: int, *, refit: bool) -> dict[str, list[Score]]:
        """The scores of a backtest from so many origins in time, of the model and the baselines, by name."""

    def rerank(self, run: "Run", source: str) -> Iterator[str]:
        """Another system's candidates with the model's score, the best first, in pieces of text.

        Args:
            source: a file; "-" for standard input.
        """

    def report(self, run: "Run", data: Any, part: str) -> list[str]:
        """Lines that say more than scores: the pictures drawn, and what the model got most wrong."""


def load_task(name: str) -> Task:
    """The task of that name.

    Raises:
        BadInput: there is none.
    """
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    module: Any = importlib.import_module(TASKS[name])
    return module
