"""Two updates by each rule, against the rules written out with the letters of their papers."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from recurra.training.optimizers import build_optimizer
from recurra.training.settings import Settings

START = np.array([1.0, -2.0, 0.5])
GRADIENTS = [np.array([0.3, -0.1, 0.0]), np.array([-0.2, 0.4, 0.1])]
RATE, MOMENTUM, DECAY = 0.1, 0.8, 0.05


def ours(optimizer: str, **options: Any) -> np.ndarray:
    settings = Settings(optimizer=optimizer, learning_rate=RATE, momentum=MOMENTUM, **options)  # type: ignore[arg-type]
    parameter = nn.Parameter(torch.tensor(START))
    rule = build_optimizer([parameter], settings)
    for gradient in GRADIENTS:
        parameter.grad = torch.tensor(gradient)
        rule.step()
    return parameter.detach().numpy()


def sgd(decay: float) -> np.ndarray:
    w = START
    for g in GRADIENTS:
        w = w - RATE * (g + decay * w)
    return w


def momentum(nesterov: bool) -> np.ndarray:
    w, v = START, np.zeros(3)
    for g in GRADIENTS:
        v = MOMENTUM * v + g
        w = w - RATE * (g + MOMENTUM * v if nesterov else v)
    return w


def adagrad() -> np.ndarray:
    w, total = START, np.zeros(3)
    for g in GRADIENTS:
        total = total + g**2
        w = w - RATE * g / (np.sqrt(total) + 1e-10)
    return w


def adadelta() -> np.ndarray:
    w, squares, steps = START, np.zeros(3), np.zeros(3)
    for g in GRADIENTS:
        squares = 0.9 * squares + 0.1 * g**2
        step = np.sqrt(steps + 1e-6) / np.sqrt(squares + 1e-6) * g
        steps = 0.9 * steps + 0.1 * step**2
        w = w - RATE * step
    return w


def rmsprop() -> np.ndarray:
    w, squares = START, np.zeros(3)
    for g in GRADIENTS:
        squares = 0.99 * squares + 0.01 * g**2
        w = w - RATE * g / (np.sqrt(squares) + 1e-8)
    return w


def adam(penalty: float, decoupled: float) -> np.ndarray:
    w, m, v = START, np.zeros(3), np.zeros(3)
    for t, gradient in enumerate(GRADIENTS, 1):
        g = gradient + penalty * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - RATE * decoupled * w - RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ours("sgd"), sgd(0)),
        (ours("sgd", weight_decay=DECAY), sgd(DECAY)),
        (ours("momentum"), momentum(nesterov=False)),
        (ours("nesterov"), momentum(nesterov=True)),
        (ours("adagrad"), adagrad()),
        (ours("adadelta"), adadelta()),
        (ours("rmsprop"), rmsprop()),
        (ours("adam"), adam(0, 0)),
        (ours("adam", weight_decay=DECAY), adam(DECAY, 0)),
        (ours("adamw", weight_decay=DECAY), adam(0, DECAY)),
    ],
)
def test_two_updates_equal_the_rule_written_out(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12)
