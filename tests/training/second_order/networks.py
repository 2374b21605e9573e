"""Small networks of every kind that curvature has to understand, in float64, and their dense derivatives."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call

from recurra.cells import CELLS
from recurra.layers import Dropout, Recurrent
from recurra.training.second_order.passes import Pass, trainable
from recurra.training.second_order.vectors import flat, parts

INPUTS, CLASSES = 3, 4


class Sequences(nn.Module):
    """A layer over sequences, and scores at every step."""

    def __init__(self, layer: nn.Module, size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layer, self.dropout, self.output = layer, Dropout(dropout), nn.Linear(size, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.dropout(self.layer(x)[0]))


class Tied(nn.Module):
    """One matrix at both ends, a parameter that is not learnt, and a buffer that every pass changes."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(INPUTS, CLASSES), nn.Linear(CLASSES, INPUTS)
        self.out.weight = nn.Parameter(self.into.weight.detach().T.clone())
        self.shared = nn.Linear(INPUTS, INPUTS, bias=False)
        self.again = nn.Linear(INPUTS, INPUTS, bias=False)
        self.again.weight = self.shared.weight
        self.into.weight.requires_grad_(False)
        self.passes: Tensor
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return self.into(self.again(torch.tanh(self.shared(x)))) * self.passes


class Cube(torch.autograd.Function):
    """An operation without forward mode."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return 3 * ctx.saved_tensors[0] ** 2 * slope


class Cubed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(INPUTS, 2), nn.Linear(2, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(Cube.apply(self.first(x)))


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    made: dict[str, Callable[[], nn.Module]] = {
        "elman": lambda: Sequences(Recurrent(CELLS["elman"](INPUTS, 3)), 3),
        "lstm": lambda: Sequences(Recurrent(CELLS["lstm"](INPUTS, 2)), 2),
        "torch-lstm": lambda: Sequences(nn.LSTM(INPUTS, 2, batch_first=True), 2),
        "dropout": lambda: Sequences(Recurrent(CELLS["elman"](INPUTS, 3)), 3, 0.5),
        "tied": Tied,
        "without-forward-mode": Cubed,
    }
    return made[name]().double()


NAMES = ["elman", "lstm", "torch-lstm", "dropout", "tied", "without-forward-mode"]


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 3, INPUTS, generator=generator, dtype=torch.float64)
    return x, torch.randint(CLASSES, (2, 3), generator=generator)


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def objective(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Any:
    x, targets = batch
    return model(x), partial(cross_entropy, targets=targets)


def taken(model: nn.Module) -> tuple[Pass[Any], Any, list[Tensor]]:
    one = Pass(model, partial(objective, model), batch())
    return one, one.first(), list(trainable(model).values())


def dense(model: nn.Module, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient, Gauss–Newton matrix and Hessian of the same batch, row by row, of the pass that the seed draws."""
    x, targets = batch()
    like = trainable(model)
    here = flat(like.values()).detach()
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}

    def outputs(theta: Tensor) -> Tensor:
        torch.manual_seed(seed)
        weights = dict(zip(like, parts(theta, list(like.values())), strict=True))
        return functional_call(model, {**weights, **{name: each.clone() for name, each in buffers.items()}}, (x,))

    def loss(theta: Tensor) -> Tensor:
        return cross_entropy(outputs(theta), targets)

    z = outputs(here).detach()
    j = jacobian(outputs, here).reshape(z.numel(), -1)
    slope = jacobian(lambda scores: cross_entropy(scores, targets), z).flatten()
    h = hessian(lambda scores: cross_entropy(scores, targets), z).reshape(z.numel(), z.numel())
    return j.T @ slope, j.T @ h @ j, hessian(loss, here)
