"""Program execution: from generated programs to a network that says what new ones print."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from recurra.data.programs import Level
from recurra.errors import BadInput
from recurra.layers import Dropout
from recurra.metrics.score import Score
from recurra.models.cross_entropy import IGNORED
from recurra.models.executor import Executor
from recurra.models.language_model import LanguageModel
from recurra.recurrence.state import State
from recurra.tasks.layers import make_layers, start_uniformly
from recurra.tasks.program_execution.baselines import baselines, prepare_baselines
from recurra.tasks.program_execution.config import Config
from recurra.tasks.program_execution.contenders import contender, count
from recurra.tasks.program_execution.prediction import predict
from recurra.tasks.program_execution.presentation import present, report
from recurra.tasks.program_execution.problems import SIZE, Batch, TrainingBatches, goal, part, promoted
from recurra.tasks.program_execution.scoring import Data, character_accuracy, evaluate, leading, make_data
from recurra.tasks.sources import Sources
from recurra.training.problem import Form, Loss, Problem

__all__ = [
    "Config",
    "baselines",
    "build",
    "contender",
    "count",
    "evaluate",
    "hashes",
    "keep",
    "load",
    "predict",
    "prepare_baselines",
    "present",
    "problem",
    "read",
    "read_again",
    "read_test",
    "report",
]

PROMOTING = 250
"""Problems that decide on a promotion."""


def read(sources: Sources, config: Config) -> Data:
    """The dev and the test part; training problems are drawn as they are needed.

    Raises:
        BadInput: files are named.
    """
    if sources.train:
        raise BadInput(
            f"{sources.train[0]}: programs are drawn, not read; leave it out, and use --problem and --length"
        )
    return make_data(config)


def read_again(sources: Sources, config: Config, folder: Path) -> Data:
    """The same."""
    return make_data(config)


def read_test(sources: Sources, config: Config, folder: Path) -> Data:
    """There are no other problems to be scored on: raises."""
    return read(sources, config)


def keep(data: Data, folder: Path) -> None:
    """Nothing: the alphabet is always the same."""


def hashes(data: Data) -> dict[str, str]:
    """None: nothing is read."""
    return {}


def build(config: Config, data: Data | None = None) -> Executor:
    """The model with fresh weights."""
    dropout = Dropout(config.dropout)
    layers, output_size = make_layers(config, config.embedding_size, "forward", dropout)
    model = Executor(LanguageModel(SIZE, config.embedding_size, layers, output_size, dropout=dropout))
    start_uniformly(model, config, config.initial_range)
    return model


def load(config: Config, folder: Path) -> Executor:
    """The model of a run folder, before its weights are loaded."""
    return build(config)


def problem(config: Config, data: Data, model: nn.Module) -> Problem:
    """What the training loop needs."""
    executor: Executor = model  # type: ignore[assignment]

    def loss(model: nn.Module, batch: Batch, state: State | None) -> Loss:
        characters = int((batch.wanted != IGNORED).sum())
        value = model.loss(*batch, divisor=float(characters))  # type: ignore[operator]
        return Loss(value, value.detach(), characters, None)

    def form(model: nn.Module, batch: Batch, state: State | None) -> Form:
        characters = int((batch.wanted != IGNORED).sum())

        def loss(scores: Tensor) -> Tensor:
            wanted = batch.wanted.flatten()
            return cross_entropy(scores.flatten(0, 1), wanted, ignore_index=IGNORED, reduction="sum") / characters

        return Form(model.language_model(batch.tokens)[0], loss, 1.0, characters, None)  # type: ignore[operator]

    def validate(model: Executor) -> Score:
        found = leading(model, data, "dev")
        if config.curriculum in ("naive", "combined"):
            _promote(model, config)
        return found

    def batches(epoch: int) -> TrainingBatches:
        return TrainingBatches(executor, config, epoch)

    return Problem(model, loss, batches, validate, form)  # type: ignore[arg-type]


def _promote(model: Executor, config: Config) -> None:
    """Go on to harder problems as long as those reached are solved.

    They are of the training part: easy levels have too few for what is learnt of some to tell the others.
    """
    last = goal(config)
    while (level := Level(*model.level.tolist())) != (harder := promoted(level, last)):
        if character_accuracy(model, part("train", level, config, PROMOTING), config) < config.promotion:
            return
        model.level.copy_(torch.tensor(harder))
