"""Classification: from labelled sequences to a model that gives a whole sequence a label, or several."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from recurra.metrics.score import Score
from recurra.recurrence.state import State
from recurra.tasks.classification.baselines import baselines, prepare_baselines
from recurra.tasks.classification.batches import Batch, TrainingBatches
from recurra.tasks.classification.config import Config
from recurra.tasks.classification.contenders import contender, count
from recurra.tasks.classification.network import build_network
from recurra.tasks.classification.predicting import predict
from recurra.tasks.classification.presentation import present, report
from recurra.tasks.classification.reading import Cases, Meaning, read_cases_in_parts, read_only_test
from recurra.tasks.classification.scoring import (
    choose_thresholds,
    cross_entropy,
    evaluate,
    probabilities,
    scores,
)
from recurra.tasks.sources import Sources
from recurra.training.problem import Form, Loss, Problem
from recurra.training.run_folder import RunFolder

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


def read(sources: Sources, config: Config) -> Cases:
    """The cases in their parts, with classes and a vocabulary of the training part."""
    return read_cases_in_parts(sources, config)


def read_again(sources: Sources, config: Config, folder: Path) -> Cases:
    """The same with the classes and the vocabulary of a run."""
    if not (folder / "classes.json").exists():  # killed before it was written
        return read(sources, config)
    return read_cases_in_parts(sources, config, Meaning.load(folder))


def read_test(sources: Sources, config: Config, folder: Path) -> Cases:
    """Cases that are only to be scored, of the encoding of those trained on: all of them are the part "test"."""
    own = Sources.model_validate(RunFolder.open(folder).record["data"])
    return read_only_test(sources, config, Meaning.load(folder), own.encoding())


def keep(data: Cases, folder: Path) -> None:
    """Write classes and vocabulary into the run folder."""
    data.meaning.save(folder)


def hashes(data: Cases) -> dict[str, str]:
    """The sha256 of every file read."""
    return data.hashes


def build(config: Config, data: Cases) -> nn.Module:
    """The model with fresh weights."""
    return build_network(config, data.meaning, data.train)


def load(config: Config, folder: Path) -> nn.Module:
    """The model of a run folder, before its weights are loaded."""
    return build_network(config.model_copy(update={"vectors": None}), Meaning.load(folder))


def problem(config: Config, data: Cases, model: nn.Module) -> Problem:
    """What the training loop needs."""

    def batches(epoch: int) -> TrainingBatches:
        found = TrainingBatches(data.train, config.batch_size, seed=config.seed, epoch=epoch)
        if epoch == 0 and found.padding:
            print(f"{found.padding:.1%} of the steps in batches are padding", file=sys.stderr)
        return found

    def validate(model: Any) -> Score:
        found = probabilities(model, data.dev)
        thresholds = choose_thresholds(model, data.dev, found) if data.meaning.multilabel else None
        if config.best_by == "score":
            return scores(data, "dev", found, thresholds)[0]
        nats = cross_entropy(data.dev, found, data.meaning.multilabel)
        return Score("cross-entropy", nats, "nats/case", False, "dev")

    return Problem(model, _loss, batches, validate, _form)


def _loss(model: Any, batch: tuple[Batch, Tensor], state: State | None) -> Loss:
    (x, lengths), targets = batch
    value = model.loss(x, lengths, targets)
    return Loss(value, value.detach(), len(x), None)


def _form(model: Any, batch: tuple[Batch, Tensor], state: State | None) -> Form:
    (x, lengths), targets = batch
    return Form(model(x, lengths), partial(model.cost, targets=targets), 1.0, len(x), None)
