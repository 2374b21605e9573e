"""Penalties in the training loop, against a plain one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from recurra.training.penalties.gradient_flow import GradientFlow
from recurra.training.penalties.weights import proximal_step, weight_penalties
from recurra.training.settings import Settings
from tests.training import tiny
from tests.training.test_loop import PLAIN, interrupt

ASKED = ("gradient-flow=0.1", "recurrent:l1=0.01", "output:l2=0.1")


@pytest.mark.parametrize("accumulate", [1, 2])
def test_equals_a_plain_loop(tmp_path: Path, accumulate: int) -> None:
    expected: Any = tiny.problem().model.double()
    weights, flow = weight_penalties(expected, ASKED), GradientFlow(expected)
    optimizer = torch.optim.SGD(expected.parameters(), 0.1)
    for _ in range(2):
        state, windows = None, tiny.windows()
        for start in range(0, len(windows), accumulate):
            optimizer.zero_grad()
            for x, y in windows[start : start + accumulate]:
                with flow.watching():
                    predicted, state = expected(x.double(), state)
                (predicted - y.double()).square().mean().div(accumulate).backward()
                flow.omega().mul(0.1 / accumulate).backward()
                state = type(state)(*(leaf.detach() for leaf in state))
            optimizer.step()
            proximal_step(weights, 0.1)
    settings = Settings(**{**PLAIN, "regularize": ASKED, "accumulate": accumulate})
    tiny.fit(tmp_path / "run", settings)
    found = tiny.last_checkpoint(tmp_path / "run")["model"]
    torch.testing.assert_close(found, dict(expected.state_dict()), rtol=1e-10, atol=1e-13)
    without = tiny.fit(tmp_path / "without", Settings(**{**PLAIN, "accumulate": accumulate}))
    assert not torch.allclose(found["layer.cell.g.W_h"], without.model.get_parameter("layer.cell.g.W_h"), rtol=1e-3)


def test_the_rate_is_that_of_the_schedule_whatever_was_clipped(tmp_path: Path) -> None:
    """Clipped to nothing, plain descent moves nothing, and each step draws a weight by its own rate times strength."""
    options = {**PLAIN, "clip_norm": 1e-12, "schedule": "cosine", "regularize": ("recurrent:l1=0.01",)}
    before = tiny.problem().model.get_parameter("layer.cell.g.W_h").detach().double()
    tiny.fit(tmp_path / "run", Settings(**options))
    updates = 2 * tiny.WINDOWS
    rates = [0.05 * (1 + torch.cos(torch.tensor(torch.pi * k / updates)).item()) for k in range(updates)]
    drawn = before.sign() * (before.abs() - 0.01 * sum(rates)).clamp(min=0)
    saved = tiny.last_checkpoint(tmp_path / "run")["model"]["layer.cell.g.W_h"]
    torch.testing.assert_close(saved, drawn, atol=1e-7, rtol=0)


def test_an_interrupted_run_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    settings = Settings(epochs=2, regularize=ASKED)
    tiny.fit(tmp_path / "whole", settings, dropout=0.3)
    interrupt(tmp_path / "cut", settings, tiny.problem(dropout=0.3), at=4)
    tiny.fit(tmp_path / "cut", settings, dropout=0.3)
    assert tiny.same(tiny.last_checkpoint(tmp_path / "whole"), tiny.last_checkpoint(tmp_path / "cut"))


def test_bfloat16(tmp_path: Path) -> None:
    found = tiny.fit(tmp_path / "run", Settings(epochs=1, precision="bfloat16", regularize=ASKED))
    assert all(parameter.isfinite().all() for parameter in found.model.parameters())
