"""A problem small enough to train in a moment: one row of numbers to be predicted, in windows with carried state."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import CELLS
from recurra.layers import Recurrent
from recurra.metrics.score import Score
from recurra.training.loop import train
from recurra.training.problem import Form, Loss, Problem
from recurra.training.run_folder import RunFolder
from recurra.training.settings import Settings

STEPS, WINDOWS, ROWS, INPUTS, HIDDEN = 3, 6, 2, 2, 3


class Network(nn.Module):
    def __init__(self, cell: str = "lstm", dropout: float = 0.0) -> None:
        super().__init__()
        self.layer = Recurrent(CELLS[cell](INPUTS, HIDDEN))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(HIDDEN, 1)

    def initial_state(self, batch_size: int) -> Any:
        return self.layer.initial_state(batch_size)

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs, state = self.layer(x, state)
        return self.output(self.dropout(outputs)), state


def windows() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(ROWS, STEPS * WINDOWS, INPUTS, generator=generator)
    y = x.cumsum(1).sum(-1, keepdim=True).sin()
    return list(zip(x.split(STEPS, 1), y.split(STEPS, 1), strict=True))


def squared_error(model: nn.Module, batch: tuple[Tensor, Tensor], state: Any) -> Loss:
    x, y = batch
    predicted, state = model(x, state)
    value = (predicted - y).square().mean()
    return Loss(value, value.detach(), y.numel(), state)


def apart(model: nn.Module, batch: tuple[Tensor, Tensor], state: Any) -> Form:
    """The same, outputs and loss apart."""
    x, y = batch
    predicted, state = model(x, state)
    return Form(predicted, lambda outputs: (outputs - y).square().mean(), 1.0, y.numel(), state)


def problem(cell: str = "lstm", *, dropout: float = 0.0, seed: int = 0) -> Problem:
    torch.manual_seed(seed)
    data = windows()

    def validate(model: nn.Module) -> Score:
        parameter = next(model.parameters())
        error = squared_error(model, tuple(part.to(parameter.dtype) for part in data[-1]), None)
        return Score("error", error.mean.item(), "units", False, "tiny")

    return Problem(Network(cell, dropout), squared_error, lambda epoch: data, validate, apart)


def record(**more: Any) -> dict[str, Any]:
    return {"task": "tiny", "config": {}, "data": {}, "hashes": {}, **more}


def open_or_create(path: Path) -> RunFolder:
    return RunFolder.open(path) if path.exists() else RunFolder.create(path, record())


def fit(path: Path, settings: Settings, given: Problem | None = None, **options: Any) -> Problem:
    """Train, or go on, in the folder; the problem then holds the trained model."""
    given = given or problem(**options)
    train(given, settings, open_or_create(path))
    return given


def last_checkpoint(path: Path) -> Any:
    return RunFolder.open(path).load_checkpoint()


def same(one: Any, other: Any) -> bool:
    """Whether two trees are equal, tensors bit for bit, but for the seconds they took."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        keys = one.keys() - {"seconds", "items_per_second"}
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in keys)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
