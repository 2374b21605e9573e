"""Truncated backpropagation through time against its definition, unrolled by brute force."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recurra.cells import LSTM
from recurra.data.tokens import Corpus
from recurra.layers import Recurrent, Stack
from recurra.models.language_model import LanguageModel
from recurra.recurrence.state import detach
from recurra.tasks.language_model.config import Config
from recurra.tasks.language_model.task import problem
from recurra.training.problem import Problem

ROWS, STEPS, VOCABULARY = 2, 4, 5
TEXT = np.random.default_rng(3).integers(0, VOCABULARY, 27)  # rows of 13 steps: the last window is shorter


def make(**options: Any) -> Problem:
    torch.manual_seed(1)
    layers = Stack(Recurrent(LSTM(3, 4)), Recurrent(LSTM(4, 4)))
    model = LanguageModel(VOCABULARY, 3, layers, 4).double()
    corpus: Any = Corpus(TEXT, TEXT, TEXT, None, {}, {})  # type: ignore[arg-type]
    return problem(Config(batch_size=ROWS, steps=STEPS, loss_per="sequence", **options), corpus, model)


def rows() -> tuple[Tensor, Tensor]:
    """Inputs and targets of the whole text."""
    length = (len(TEXT) - 1) // ROWS
    starts = range(0, ROWS * length, length)
    inputs = np.stack([TEXT[start : start + length] for start in starts])
    targets = np.stack([TEXT[start + 1 : start + length + 1] for start in starts])
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def in_windows(given: Problem) -> tuple[float, list[Tensor]]:
    """The sum of all windows' losses, and of their gradients."""
    total, state = 0.0, None
    given.model.zero_grad()
    batches = given.batches(0)
    for index in range(len(batches)):
        loss = given.loss(given.model, batches[index], state)
        loss.value.backward()
        total, state = total + loss.value.item(), None if loss.state is None else detach(loss.state)
    return total, [parameter.grad.clone() for parameter in given.model.parameters() if parameter.grad is not None]


def by_brute_force(model: Any, steps: int, stride: int) -> tuple[float, list[Tensor]]:
    """For each stretch of ``stride`` targets: everything before its window unrolled without gradient, it with."""
    inputs, targets = rows()
    length, total = inputs.shape[1], 0.0
    model.zero_grad()
    for end in range(stride, length + stride, stride):
        begin, first = max(0, end - steps), end - stride
        state = model.initial_state(ROWS)
        for t in range(min(end, length)):
            with torch.set_grad_enabled(t >= begin):
                logits, state = model.step(inputs[:, t], state)
            if t >= first:
                loss = torch.nn.functional.cross_entropy(logits, targets[:, t], reduction="sum") / ROWS
                loss.backward(retain_graph=True)
                total += loss.item()
    return total, [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("stride", [None, 3, 2, 1])
def test_windows_equal_the_definition(stride: int | None) -> None:
    given = make(stride=stride)
    total, gradients = in_windows(given)
    expected_total, expected = by_brute_force(given.model, STEPS, stride or STEPS)
    assert total == pytest.approx(expected_total, rel=1e-12)
    torch.testing.assert_close(gradients, expected, rtol=1e-9, atol=1e-12)


def test_losses_in_windows_add_up_to_the_loss_of_one_pass() -> None:
    given = make()
    inputs, targets = rows()
    logits, _ = given.model(inputs)
    whole = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / ROWS
    total, truncated = in_windows(given)
    assert total == pytest.approx(whole.item(), rel=1e-12)
    given.model.zero_grad()
    whole.backward()
    full = [parameter.grad for parameter in given.model.parameters()]
    assert not torch.allclose(truncated[1], full[1], rtol=1e-3)  # type: ignore[arg-type]


def test_one_window_over_everything_is_full_bptt() -> None:
    torch.manual_seed(1)
    given = make()
    _, expected = by_brute_force(given.model, 13, 13)
    logits, _ = given.model(rows()[0])
    given.model.zero_grad()
    (torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows()[1].flatten(), reduction="sum") / ROWS).backward()
    torch.testing.assert_close([p.grad for p in given.model.parameters()], expected, rtol=1e-9, atol=1e-12)
