"""Search in the package's own loop: the same as in a plain one, resumable, and refused in one line."""

import dataclasses
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.errors import BadInput, NotFinite
from recurra.recurrence.state import detach
from recurra.training import Evolution, RandomGuessing
from recurra.training.settings import Settings
from recurra.training.updates import check_update
from tests.training import tiny
from tests.training.test_loop import folder_contents, interrupt

OPTIONS: dict[str, Any] = {"epochs": 3, "spread": 0.5, "seed": 2}
KINDS = pytest.mark.parametrize("name", ["guessing", "evolution"])


@KINDS
@pytest.mark.parametrize("accumulate", [1, 2])
def test_equals_a_plain_loop(tmp_path: Path, name: str, accumulate: int) -> None:
    expected: Any = tiny.problem().model
    optimizer: Any = {
        "guessing": lambda: RandomGuessing(expected.parameters(), scale=0.5, seed=2),
        "evolution": lambda: Evolution(expected.parameters(), spread=0.5, seed=2),
    }[name]()
    for _ in range(3):
        start: Any = None
        windows = tiny.windows()
        for begin in range(0, len(windows), accumulate):

            def run(part: Any, state: Any) -> Any:
                total = 0.0
                for x, y in part:
                    found, state = expected(x, state)
                    total += float((found - y).square().mean())
                return total / len(part), state

            part = windows[begin : begin + accumulate]
            with torch.no_grad():
                optimizer.step(lambda part=part, start=start: run(part, start)[0])
                start = detach(run(part, start)[1])
    tiny.fit(tmp_path / "run", Settings(**OPTIONS, optimizer=name, accumulate=accumulate))
    found = tiny.last_checkpoint(tmp_path / "run")["model"]
    torch.testing.assert_close(found, dict(expected.state_dict()), rtol=1e-5, atol=1e-6)


@KINDS
def test_an_interrupted_run_ends_with_the_same_numbers(tmp_path: Path, name: str) -> None:
    settings = Settings(**OPTIONS, optimizer=name)
    tiny.fit(tmp_path / "whole", settings, dropout=0.5)
    interrupt(tmp_path / "cut", settings, tiny.problem(dropout=0.5), 3, signal.SIGTERM)
    tiny.fit(tmp_path / "cut", settings, dropout=0.5, seed=99)
    assert tiny.same(folder_contents(tmp_path / "whole"), folder_contents(tmp_path / "cut"))


@KINDS
def test_a_loss_that_is_never_a_number_ends_the_run(tmp_path: Path, name: str) -> None:
    given = tiny.problem()

    def loss(model: Any, batch: Any, state: Any) -> Any:
        found = tiny.squared_error(model, batch, state)
        return found._replace(value=found.value.log() * 0 / 0, mean=found.mean * 0 / 0)

    with pytest.raises(NotFinite, match="loss of update 1"):
        tiny.fit(tmp_path / "run", Settings(**OPTIONS, optimizer=name), dataclasses.replace(given, loss=loss))


@pytest.mark.parametrize("name", ["guessing", "evolution", "hessian-free", "saddle-free"])
def test_penalties_of_weights_are_for_gradients(name: str) -> None:
    settings = Settings(optimizer=name, regularize=("l1=0.1",))
    with pytest.raises(BadInput, match=f"--optimizer {name} takes no --regularize; leave it out"):
        check_update(tiny.problem(), settings)
