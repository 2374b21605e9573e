"""Forecasting: from time series to a model that says what comes next, and how sure it is."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra.metrics.score import Score
from recurra.models.forecasting.windows import Windows
from recurra.recurrence.state import State
from recurra.tasks.forecasting.baselines import baselines, prepare_baselines
from recurra.tasks.forecasting.batches import TrainingBatches, cuts_of, with_observations
from recurra.tasks.forecasting.config import Config
from recurra.tasks.forecasting.contenders import contender, count
from recurra.tasks.forecasting.data_frames import as_files, forecast
from recurra.tasks.forecasting.network import build_network
from recurra.tasks.forecasting.prediction import predict, predict_table
from recurra.tasks.forecasting.presentation import loss_unit, present, report
from recurra.tasks.forecasting.reading import Data, Meaning, keep_series, read_series, read_with
from recurra.tasks.forecasting.rolling import roll
from recurra.tasks.forecasting.scoring import AT_ONCE, evaluate
from recurra.tasks.forecasting.windows import make_windows, placed, scaling_of
from recurra.tasks.sources import Sources
from recurra.training.problem import Loss, Problem

__all__ = [
    "Config",
    "as_files",
    "baselines",
    "build",
    "contender",
    "count",
    "evaluate",
    "forecast",
    "hashes",
    "keep",
    "load",
    "predict",
    "predict_table",
    "prepare_baselines",
    "present",
    "problem",
    "read",
    "read_again",
    "read_test",
    "report",
    "roll",
]


def read(sources: Sources, config: Config) -> Data:
    """The series, parted in time."""
    return read_series(sources, config)


def read_again(sources: Sources, config: Config, folder: Path) -> Data:
    """The same as a run knows them."""
    if not (folder / "series.npy").exists():  # killed before it was written
        return read(sources, config)
    return read_with(sources, config, folder, parted=True)


def read_test(sources: Sources, config: Config, folder: Path) -> Data:
    """Series that are only to be scored: their last steps are the part "test"."""
    return read_with(sources, config, folder, parted=False)


def keep(data: Data, folder: Path) -> None:
    """Write what the series are and how they are scaled into the run folder."""
    keep_series(data, folder)


def hashes(data: Data) -> dict[str, str]:
    """The sha256 of every file read."""
    return data.panel.hashes


def build(config: Config, data: Data) -> nn.Module:
    """The model with fresh weights."""
    return build_network(config, data.meaning, data)


def load(config: Config, folder: Path) -> nn.Module:
    """The model of a run folder, before its weights are loaded."""
    return build_network(config, Meaning.load(folder))


def problem(config: Config, data: Data, model: nn.Module) -> Problem:
    """What the training loop needs."""

    def batches(epoch: int) -> TrainingBatches:
        return TrainingBatches(
            data, scaling_of(config), config.batch_size, most=config.windows, seed=config.seed, epoch=epoch
        )

    def validate(model: Any) -> Score:
        if config.best_by == "score":
            return evaluate(model, data, "dev")[0]
        return Score("loss", dev_loss(model, data), loss_unit(config.distribution), False, "dev")

    def loss(model: Any, windows: Windows, state: State | None) -> Loss:
        counted = windows.observed if config.model == "autoregressive" else windows.observed[:, windows.context :]
        value = model.loss(windows, max(1.0, float(counted.sum())))
        return Loss(value, value.detach(), len(windows.target), None)

    return Problem(model, loss, batches, validate)


@torch.no_grad()
def dev_loss(model: Any, data: Data) -> float:
    """The mean cost of a value of the dev part's horizons; an autoregressive model has read those before it."""
    config, cuts = data.config, cuts_of(data, "dev")
    total, count = 0.0, 0
    for begin in range(0, len(cuts), AT_ONCE):
        some = cuts.take(slice(begin, begin + AT_ONCE))
        windows = placed(with_observations(make_windows(data, some, scaling_of(config), training=True)), model)
        total += float(model.loss(windows))
        if config.model == "autoregressive":  # whose loss is of the context too
            steps = windows.context
            before = windows._replace(target=windows.target[:, :steps], observed=windows.observed[:, :steps])
            total -= float(model.loss(before))
        count += int(windows.observed[:, windows.context :].sum())
    return total / max(count, 1)
