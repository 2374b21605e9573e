"""Saddle-free Newton on functions of known curvature, and where a gradient method is stuck."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from recurra.errors import BadInput, NotFinite
from recurra.training import SaddleFreeNewton
from recurra.training.second_order.saddle_free import DAMPINGS


class Point(nn.Module):
    def __init__(self, *start: float) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor(start, dtype=torch.float64))


def of(point: Point, function: Callable[[Tensor], Tensor]) -> Any:
    return lambda batch: (point.place, function)


def test_a_step_is_the_exact_one_at_the_best_damping() -> None:
    """In the whole space, beside |H|⁻¹ g by a dense eigendecomposition and all dampings tried by hand."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    a = a + a.T
    point = Point(*torch.randn(6, generator=generator).tolist())

    def function(theta: Tensor) -> Tensor:
        return theta @ a @ theta / 2 + 0.1 * theta.pow(4).sum()

    start = point.place.detach().clone()
    h = torch.autograd.functional.hessian(function, start)
    g = torch.autograd.functional.jacobian(function, start)
    values, vectors = torch.linalg.eigh(h)
    assert values.min() < -0.5 and values.max() > 0.5
    tried = [
        start - vectors @ ((vectors.T @ g) / (values.abs() + damping * values.abs().max())) for damping in DAMPINGS
    ]
    SaddleFreeNewton(point, subspace=6, inner=1).step([None], of(point, function))
    torch.testing.assert_close(point.place.detach(), min(tried, key=function), rtol=1e-8, atol=1e-10)


def saddle(theta: Tensor) -> Tensor:
    """A saddle at 0, and minima of -1/4 at ±1 along its second direction, which bends a hundred times less."""
    x, y = theta
    return 50 * x**2 + y**4 / 4 - y**2 / 2


def monkey(theta: Tensor) -> Tensor:
    x, y = theta
    return x**3 - 3 * x * y**2 + (x**2 + y**2) ** 2


def gutter(theta: Tensor) -> Tensor:
    """Of rank two in five dimensions."""
    s, t = theta.sum(), theta[0] - theta[1]
    return s**2 + (t**2 - 1) ** 2 / 4


def test_it_leaves_a_saddle_at_which_gradients_vanish() -> None:
    point = Point(1e-3, 1e-6)
    optimizer = SaddleFreeNewton(point)
    for _ in range(8):
        optimizer.step([None], of(point, saddle))
    assert point.place[1].abs().item() == pytest.approx(1, abs=1e-6) and abs(point.place[0].item()) < 1e-6

    stuck = Point(1e-3, 1e-6)
    sgd = optim.SGD(stuck.parameters(), lr=0.01)
    for _ in range(100):
        sgd.zero_grad()
        saddle(stuck.place).backward()
        sgd.step()
    assert saddle(stuck.place.detach()) > -1e-9


@pytest.mark.parametrize(
    ("start", "function", "lowest"),
    [((1e-3, 1e-3), monkey, -27 / 256), ((1e-4, -1e-4, 0.5, 0.1, 0.2), gutter, 0.0)],
)
def test_it_leaves_degenerate_saddles(start: tuple[float, ...], function: Any, lowest: float) -> None:
    point = Point(*start)
    optimizer = SaddleFreeNewton(point)
    for _ in range(25):
        optimizer.step([None], of(point, function))
    assert function(point.place).item() == pytest.approx(lowest, abs=1e-9)


def test_it_never_climbs_and_stays_where_there_is_no_gradient() -> None:
    point = Point(0.0, 0.0)
    optimizer = SaddleFreeNewton(point)
    assert optimizer.step([None], of(point, saddle)) == 0
    assert torch.equal(point.place.detach(), torch.zeros(2, dtype=torch.float64))
    model, objective, batches = autoencoder()
    losses = [SaddleFreeNewton(model).step(batches, objective) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)


def autoencoder() -> tuple[nn.Module, Any, list[Tensor]]:
    """Vectors of rank two through two units, from weights so small that all outputs are nearly zero: a saddle."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 2), nn.Tanh(), nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 6)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.02)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(20, 2, generator=generator, dtype=torch.float64) @ torch.randn(
        2, 6, generator=generator, dtype=torch.float64
    )
    x -= x.mean(0)

    def objective(batch: Tensor) -> Any:
        return model(batch), partial(nn.functional.mse_loss, target=batch)

    return model, objective, list(x.split(10))


def test_it_leaves_where_a_gradient_method_is_stuck() -> None:
    model, objective, batches = autoencoder()
    hybrid = SaddleFreeNewton(model, first=optim.SGD(model.parameters(), lr=0.1), patience=10, escape=10)
    losses, by = [], []
    for _ in range(60):
        by.append(hybrid.escaping)
        losses.append(hybrid.step(batches, objective))
    stuck, objective_stuck, _ = autoencoder()
    sgd = optim.SGD(stuck.parameters(), lr=0.1)
    alone = []
    for _ in range(60):
        sgd.zero_grad()
        loss = torch.stack([loss(outputs) for outputs, loss in map(objective_stuck, batches)]).mean()
        alone.append(loss.item())
        loss.backward()
        sgd.step()
    assert by.index(True) == 20 and by[20:30] == [True] * 10 and not any(by[30:50])
    assert losses[:21] == pytest.approx(alone[:21], rel=1e-12)  # until it has stalled, it is the gradient method
    assert alone[-1] > 0.99 * alone[0] and losses[-1] < 0.5 * losses[0]


def test_it_goes_on_from_its_state_to_the_same_bits() -> None:
    def make() -> Any:
        model, objective, batches = autoencoder()
        first = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return model, SaddleFreeNewton(model, first=first, patience=2, escape=3, clip_norm=0.1), objective, batches

    model, optimizer, objective, batches = make()
    kept = []
    for _ in range(9):
        kept.append((copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())))
        optimizer.step(batches, objective)
    for weights, state in (kept[2], kept[5], kept[8]):  # before it has stalled, among saddle-free steps, after them
        again, other, objective, _ = make()
        again.load_state_dict(weights)
        other.load_state_dict(state)
        for _ in range(9 - other.param_groups[0]["updates"]):
            other.step(batches, objective)
        assert all(map(torch.equal, again.state_dict().values(), model.state_dict().values()))


def test_errors() -> None:
    model, objective, batches = autoencoder()
    with pytest.raises(BadInput, match="a state of another model"):
        SaddleFreeNewton(nn.Linear(2, 1)).load_state_dict(SaddleFreeNewton(model).state_dict())
    with pytest.raises(ValueError, match="subspace must be at least 2"):
        SaddleFreeNewton(model, subspace=1)
    with pytest.raises(NotFinite, match="not finite"):
        SaddleFreeNewton(model).step([batches[0] * torch.inf], objective)
