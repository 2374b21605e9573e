"""Learning rates against torch's own schedulers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import SGD, lr_scheduler

from recurra.training.schedule import Plateau, learning_rate
from recurra.training.settings import Settings

RATE, EPOCHS, UPDATES = 0.3, 5, 4  # updates an epoch


def rates(plateau: Plateau | None = None, **options: Any) -> list[float]:
    settings = Settings(learning_rate=RATE, epochs=EPOCHS, **options)
    total = EPOCHS * UPDATES
    return [
        learning_rate(settings, update=u, epoch=u // UPDATES, done=u / total, plateau=plateau or Plateau())
        for u in range(total)
    ]


def theirs(make: Callable[[SGD], Any], each: int = 1) -> list[float]:
    """The rate of each update under a scheduler of torch that steps every ``each`` updates."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    scheduler = make(optimizer)
    found = []
    for update in range(EPOCHS * UPDATES):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (update + 1) % each == 0:
            scheduler.step()
    return found


def test_constant() -> None:
    assert rates(schedule="constant") == [RATE] * EPOCHS * UPDATES


def test_cosine() -> None:
    expected = theirs(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * UPDATES))
    assert rates(schedule="cosine") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("after", [1, 2, 4])
def test_step(after: int) -> None:
    """Full rate for so many epochs, then decay before each."""
    expected = theirs(
        lambda optimizer: lr_scheduler.MultiStepLR(optimizer, list(range(after, EPOCHS)), gamma=0.4), each=UPDATES
    )
    assert rates(schedule="step", decay=0.4, decay_after=after) == pytest.approx(expected, rel=1e-12)


def test_warm_up() -> None:
    expected = theirs(lambda optimizer: lr_scheduler.LinearLR(optimizer, start_factor=1 / 8, total_iters=7))
    assert rates(schedule="constant", warm_up=8) == pytest.approx(expected, rel=1e-12)
    cosine = rates(schedule="cosine")
    assert rates(schedule="cosine", warm_up=8)[3] == pytest.approx(cosine[3] * 4 / 8, rel=1e-12)
    assert rates(schedule="cosine", warm_up=8)[7:] == cosine[7:]


@pytest.mark.parametrize("patience", [0, 1, 2])
def test_plateau(patience: int) -> None:
    scores = [5, 4, 4, 4, 4, 3, 3.5, 3, 2.9, 3, 3, 3, 3, 3, 3, 1]
    settings = Settings(learning_rate=RATE, schedule="plateau", decay=0.5, decay_after=patience)
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience, threshold=0, eps=0)
    plateau, best = Plateau(), float("inf")
    for score in scores:
        scheduler.step(score)
        plateau.after_validation(score < best, settings)
        best = min(best, score)
        rate = learning_rate(settings, update=9, epoch=0, done=0.5, plateau=plateau)
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert plateau.scale < 1
