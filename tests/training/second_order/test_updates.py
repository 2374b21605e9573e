"""Updates with curvature in the package's own loop: the same as in a plain one, resumable, and refused in one line."""

import copy
import dataclasses
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from recurra.errors import BadInput, NotFinite
from recurra.recurrence.state import detach
from recurra.training import HessianFree, SaddleFreeNewton
from recurra.training.run_folder import RunFolder
from recurra.training.second_order.updates import check_second_order
from recurra.training.settings import Settings
from tests.training import tiny
from tests.training.test_loop import folder_contents, interrupt

OPTIONS: dict[str, Any] = {"epochs": 2, "schedule": "constant", "learning_rate": 0.1, "clip_norm": None}
HESSIAN_FREE = {"optimizer": "hessian-free", "curvature_products": 6}
SADDLE_FREE = {"optimizer": "saddle-free", "curvature_products": 4}


def plain_loop(optimizer: HessianFree | SaddleFreeNewton, model: Any, accumulate: int) -> None:
    """Two epochs of windows, each from the state that the weights of its update leave after the window before."""
    for epoch in range(2):
        if isinstance(optimizer, SaddleFreeNewton) and optimizer.first is not None:
            optimizer.first.param_groups[0]["lr"] = 0.1 * 0.5**epoch
        state: Any = None
        windows = tiny.windows()
        for begin in range(0, len(windows), accumulate):
            group = []
            for x, y in windows[begin : begin + accumulate]:
                group.append((x.double(), y.double(), state))
                with torch.no_grad():
                    state = detach(model(x.double(), state)[1])

            def objective(batch: Any) -> Any:
                x, y, start = batch
                return model(x, start)[0], lambda outputs: (outputs - y).square().mean()

            optimizer.step(group, objective)


@pytest.mark.parametrize(
    "options",
    [
        {**HESSIAN_FREE, "damping": 0.1},
        {**HESSIAN_FREE, "accumulate": 4, "curvature_share": 0.5, "structural_damping": 0.3, "weight_decay": 0.01},
        {**SADDLE_FREE, "accumulate": 2, "momentum": 0.5, "schedule": "step", "decay": 0.5, "decay_after": 1},
    ],
    ids=str,
)
def test_equals_a_plain_loop(tmp_path: Path, options: dict[str, Any]) -> None:
    settings = Settings(**{**OPTIONS, "precision": "float64", **options})
    expected: Any = tiny.problem().model.double()
    optimizer: HessianFree | SaddleFreeNewton
    if settings.optimizer == "hessian-free":
        optimizer = HessianFree(
            expected,
            damping=settings.damping,
            iterations=6,
            weight_decay=settings.weight_decay,
            curvature_share=settings.curvature_share,
            structural_damping=settings.structural_damping,
            hidden=[expected.layer],
        )
    else:
        first = optim.SGD(expected.parameters(), lr=0.1, momentum=0.5)
        optimizer = SaddleFreeNewton(expected, first=first, subspace=4)
    plain_loop(optimizer, expected, settings.accumulate)
    tiny.fit(tmp_path / "run", settings)
    found = tiny.last_checkpoint(tmp_path / "run")["model"]
    torch.testing.assert_close(found, dict(expected.state_dict()), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", [HESSIAN_FREE, {**HESSIAN_FREE, "accumulate": 2}, SADDLE_FREE], ids=str)
def test_an_interrupted_run_ends_with_the_same_numbers(tmp_path: Path, options: dict[str, Any]) -> None:
    settings = Settings(**{**OPTIONS, **options})
    tiny.fit(tmp_path / "whole", settings, dropout=0.5)
    interrupt(tmp_path / "cut", settings, tiny.problem(dropout=0.5), 3, signal.SIGTERM)
    tiny.fit(tmp_path / "cut", settings, dropout=0.5, seed=99)
    assert tiny.same(folder_contents(tmp_path / "whole"), folder_contents(tmp_path / "cut"))


def test_the_hybrid_goes_saddle_free_where_progress_has_stalled(tmp_path: Path) -> None:
    """At so low a rate the gradient method gets nowhere in 40 updates; what follows lowers the loss at once."""
    settings = Settings(**{**OPTIONS, **SADDLE_FREE, "epochs": 7, "learning_rate": 1e-6})
    tiny.fit(tmp_path / "run", settings)
    records = RunFolder.open(tmp_path / "run").metrics()
    scores = [record["validation"] for record in records if "validation" in record]
    assert scores[5] == pytest.approx(scores[0], rel=1e-3) and scores[6] < 0.7 * scores[0]


@pytest.mark.parametrize(
    ("options", "form", "message"),
    [
        (HESSIAN_FREE, None, "--optimizer hessian-free: this loss has no Gauss–Newton form; those of language-model,"),
        (SADDLE_FREE, None, "--optimizer saddle-free: this loss has no Gauss–Newton form"),
        ({**HESSIAN_FREE, "precision": "bfloat16"}, tiny.apart, "leave out --precision bfloat16"),
    ],
)
def test_what_has_no_curvature_is_refused(tmp_path: Path, options: Any, form: Any, message: str) -> None:
    given = dataclasses.replace(tiny.problem(), form=form)
    with pytest.raises(BadInput, match=message) as caught:
        tiny.fit(tmp_path / "run", Settings(**{**OPTIONS, **options}), given)
    assert "\n" not in str(caught.value)
    check_second_order(dataclasses.replace(given, form=None), Settings())


def test_structural_damping_needs_states(tmp_path: Path) -> None:
    settings = Settings(**{**OPTIONS, **HESSIAN_FREE, "structural_damping": 0.1})
    given = dataclasses.replace(tiny.problem(), model=nn.Linear(2, 1))
    with pytest.raises(BadInput, match="--structural-damping holds the states of recurrent layers, and this model has"):
        check_second_order(given, settings)


def test_a_loss_that_is_not_convex_is_refused_in_the_loop(tmp_path: Path) -> None:
    def form(model: nn.Module, batch: Any, state: Any) -> Any:
        return tiny.apart(model, batch, state)._replace(loss=lambda outputs: -outputs.square().mean())

    with pytest.raises(BadInput, match="a loss without Gauss–Newton form: it must be convex"):
        settings = Settings(**{**OPTIONS, **HESSIAN_FREE})
        tiny.fit(tmp_path / "run", settings, dataclasses.replace(tiny.problem(), form=form))


@pytest.mark.parametrize("options", [HESSIAN_FREE, SADDLE_FREE], ids=str)
@pytest.mark.parametrize(
    ("bad", "what", "place"),
    [
        ("batch", "loss of update 3", "layer.* at step 2"),
        ("gradient", "gradient of update 3", "the gradient of output"),
    ],
)
def test_what_is_not_finite_is_named(tmp_path: Path, options: Any, bad: str, what: str, place: str) -> None:
    windows = copy.deepcopy(tiny.windows())
    if bad == "batch":
        windows[2][0][0, 1] = torch.inf

    def form(model: nn.Module, batch: Any, state: Any) -> Any:
        found = tiny.apart(model, batch, state)
        broken = bad == "gradient" and torch.equal(batch[0], windows[2][0])
        return found._replace(loss=lambda outputs: found.loss(outputs) + (_root(outputs) if broken else 0))

    given = dataclasses.replace(tiny.problem(), form=form, batches=lambda epoch: windows)
    settings = Settings(**{**OPTIONS, **options, "checkpoint_every": 1})
    with pytest.raises(NotFinite, match=rf"the {what} is not finite; the first bad number arose in {place}"):
        tiny.fit(tmp_path / "run", settings, given)
    assert tiny.last_checkpoint(tmp_path / "run")["position"]["update"] == 2


def _root(outputs: Tensor) -> Tensor:
    """Zero, with an infinite gradient."""
    return (outputs - outputs.detach()).sum().sqrt()
