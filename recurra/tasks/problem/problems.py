"""Problems as a network is trained on them."""

from dataclasses import dataclass
from typing import NamedTuple

from recurra.data.problems import make_problem
from recurra.data.problems.problem import Examples, Problem
from recurra.models.sequence_predictor import SequencePredictor
from recurra.tasks.problem.config import Config

FIRST = 10
"""The lag that a curriculum begins with, where the problem has it."""


class Data(NamedTuple):
    """A problem, and how it is to be learnt; its parts are drawn as they are needed."""

    problem: Problem
    config: Config


def make_data(name: str, config: Config) -> Data:
    """The problem of that name with its options.

    Raises:
        BadInput: there is none, or it has no such option.
    """
    options = {option: getattr(config, option) for option in ("lag", "symbols", "shape")}
    given = {option: value for option, value in options.items() if value is not None}
    return Data(make_problem(name, **given), config)


def first_lag(problem: Problem, config: Config) -> int:
    """What training begins with."""
    return problem.lag if config.curriculum == "none" else min(problem.lag, max(FIRST, problem.least_lag))


@dataclass(frozen=True)
class TrainingBatches:
    """A round of training, at the lag that the model has come to."""

    model: SequencePredictor
    problem: Problem
    config: Config
    epoch: int

    def __len__(self) -> int:
        return -(-self.config.epoch_size // self.config.batch_size)

    def __getitem__(self, index: int) -> Examples:
        size = self.config.batch_size
        begin = (self.epoch * len(self) + index) * size
        return self.problem.examples(self.config.seed, range(begin, begin + size), int(self.model.lag))
