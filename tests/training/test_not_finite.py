"""A number that is not finite stops training, and the message names where it arose."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recurra.errors import NotFinite
from recurra.layers import Recurrent, Stack
from recurra.metrics.score import Score
from recurra.training.not_finite import first_bad_number
from recurra.training.problem import Problem
from recurra.training.run_folder import RunFolder
from recurra.training.settings import Settings
from tests.training import tiny

CALM = Settings(epochs=1, optimizer="sgd", learning_rate=1e-3, schedule="constant", checkpoint_every=1)


class Fuse(torch.autograd.Function):
    """Passes values on; where ``bad`` holds, the gradient becomes infinite."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bad: bool) -> Tensor:
        ctx.bad = bad
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient / 0 if ctx.bad else gradient, None


class Cell(nn.Module):
    """Counts its steps and breaks at one of them."""

    def __init__(self, breaks_at: int = -1, how: str = "forward") -> None:
        super().__init__()
        self.inner = nn.Linear(tiny.INPUTS, tiny.INPUTS)
        self.breaks_at, self.how = breaks_at, how

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size, tiny.INPUTS + 1)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        count = state[:, :1] + 1
        h = torch.tanh(self.inner(x) + state[:, 1:])
        now = bool((count == self.breaks_at).all())
        if self.how == "backward":
            h = Fuse.apply(h, now)
        elif now and self.how == "forward":
            h = h * 1e30 * 1e30
        elif now and self.how == "state":
            return h, torch.cat([count, h / 0], 1)
        return h, torch.cat([count, h], 1)


class Network(nn.Module):
    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.layers = Stack(Recurrent(Cell()), Recurrent(cell))
        self.output = nn.Linear(tiny.INPUTS, 1)

    def initial_state(self, batch_size: int) -> Any:
        return self.layers.initial_state(batch_size)

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs, state = self.layers(x, state)
        return self.output(outputs), state


def problem(breaks_at: int, how: str) -> Problem:
    torch.manual_seed(0)
    data = tiny.windows()
    score = Score("nothing", 1.0, "units", False, "none")
    return Problem(Network(Cell(breaks_at, how)), tiny.squared_error, lambda epoch: data, lambda model: score)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("how", "breaks_at", "what", "place"),
    [
        ("forward", 14, "loss", "layers.layers.1.cell at step 2"),
        ("state", 15, "state", "layers.layers.1.cell at step 3"),
        ("state", 14, "gradient", "layers.layers.1.cell at step 2"),
        ("backward", 14, "gradient", "the gradient of layers.layers.1.cell.inner at step 2"),
    ],
)
def test_layer_and_step_are_named_and_the_checkpoint_is_kept(
    tmp_path: Path, how: str, breaks_at: int, what: str, place: str, precision: Any
) -> None:
    update = 5  # of windows of three steps: the 14th step of the text is the second of this one
    with pytest.raises(NotFinite) as caught:
        tiny.fit(tmp_path / "run", CALM.model_copy(update={"precision": precision}), problem(breaks_at, how))
    message = str(caught.value)
    assert re.search(rf"the {what} (of|after) update {update} is not finite", message)
    assert f"arose in {place};" in message
    assert f"the checkpoint update-{update - 1:010}.safetensors is kept" in message and "\n" not in message
    kept = tiny.last_checkpoint(tmp_path / "run")
    assert kept["position"]["update"] == update - 1
    assert all(value.isfinite().all() for value in kept["model"].values())


def test_the_same_network_unbroken_trains_to_the_end(tmp_path: Path) -> None:
    tiny.fit(tmp_path / "run", CALM, problem(-1, "backward"))
    assert tiny.last_checkpoint(tmp_path / "run")["position"]["update"] == tiny.WINDOWS


def test_a_bad_batch_inside_an_accumulated_group_is_found(tmp_path: Path) -> None:
    settings = CALM.model_copy(update={"accumulate": 3})
    with pytest.raises(NotFinite, match=r"gradient of update 2 .* layers.layers.1.cell.inner at step 2;"):
        tiny.fit(tmp_path / "run", settings, problem(14, "backward"))


def test_weights_that_an_update_broke_are_never_saved(tmp_path: Path) -> None:
    # a finite gradient times this rate overflows
    settings = CALM.model_copy(update={"learning_rate": 1e38, "weight_decay": 1e30})
    with pytest.raises(NotFinite, match="the result of update 1 .* arose in the weights layer.cell"):
        tiny.fit(tmp_path / "run", settings)
    assert RunFolder.open(tmp_path / "run").checkpoints() == []


def test_a_validation_score_that_is_not_finite(tmp_path: Path) -> None:
    given = tiny.problem()

    def validate(model: nn.Module) -> Score:
        x, _ = tiny.windows()[0]
        return Score("error", model(x * torch.inf, None)[0].sum().item(), "units", False, "bad")

    bad = Problem(given.model, given.loss, given.batches, validate)
    with pytest.raises(NotFinite, match="the validation score after update 2 is not finite; .* layer.cell.* at step 1"):
        tiny.fit(tmp_path / "run", CALM.model_copy(update={"validate_every": 2}), bad)
    assert tiny.last_checkpoint(tmp_path / "run")["position"]["update"] == 1
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_steps_go_on_over_the_calls_of_one_loss() -> None:
    layer = Recurrent(Cell(5, "forward"))
    model = nn.ModuleDict({"layer": layer})
    x = torch.randn(2, 6, tiny.INPUTS)

    def loss() -> Tensor:
        first, state = layer(x[:, :2])
        rest, _ = layer(x[:, 2:], state)
        return torch.cat([first, rest], 1).square().sum()

    assert first_bad_number(model, loss) == "layer.cell at step 5"


def test_a_loss_that_is_bad_by_itself_and_one_that_is_not_bad() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    x = torch.ones(3, 2)
    assert first_bad_number(model, lambda: (model(x).sum() * 0).log()) == (
        "the loss itself: the model's outputs are finite"
    )
    assert first_bad_number(model, lambda: model(x).sum()) is None
    assert model[0].weight.grad is None


def test_a_gradient_that_is_bad_only_in_the_weights() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    x = torch.full((4, 2), 3e38)
    with torch.no_grad():
        model[0].weight.zero_()
    assert first_bad_number(model, lambda: model(x).sum()) == "the gradient of the weights 0.weight"
