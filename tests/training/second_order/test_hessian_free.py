"""Hessian-free optimisation on functions whose optimum is known."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recurra.cells import CELLS
from recurra.errors import BadInput, NotFinite
from recurra.layers import Dropout, Recurrent
from recurra.training import HessianFree
from recurra.training.second_order.conjugate_gradients import Solution, conjugate_gradients
from recurra.training.second_order.hessian_free import _gone_back
from recurra.training.second_order.surroundings import Surroundings, overlapping


class Point(nn.Module):
    def __init__(self, *start: float) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor(start, dtype=torch.float64))


def half_squares(residuals: Tensor) -> Tensor:
    return residuals.square().sum() / 2


def test_rosenbrock_as_least_squares() -> None:
    point = Point(-1.2, 1.0)

    def objective(batch: None) -> Any:
        x, y = point.place
        return torch.stack([10 * (y - x**2), 1 - x]), half_squares

    optimizer = HessianFree(point, damping=0.1)
    losses = [optimizer.step([None], objective) for _ in range(60)]
    assert losses[0] == pytest.approx(12.1) and losses == sorted(losses, reverse=True)
    torch.testing.assert_close(point.place.detach(), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-6)


def regression(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 5, generator=generator, dtype=torch.float64) * torch.tensor([1, 3, 0.1, 1, 10.0])
    return x, torch.randn(40, 1, generator=generator, dtype=torch.float64)


def mean_squares(batch: tuple[Tensor, Tensor], model: nn.Module) -> Any:
    return model(batch[0]), lambda outputs: (outputs - batch[1]).square().mean() / 2


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_least_squares_end_where_the_normal_equations_do(decay: float, preconditioned: bool) -> None:
    x, y = regression()
    model = nn.Linear(5, 1, bias=False).double()
    optimizer = HessianFree(model, weight_decay=decay, preconditioned=preconditioned)
    parts = list(zip(x.split(10), y.split(10), strict=True))
    for _ in range(40):
        optimizer.step(parts, lambda batch: mean_squares(batch, model))
    expected = torch.linalg.solve(x.T @ x / 40 + decay * torch.eye(5, dtype=x.dtype), x.T @ y / 40)
    torch.testing.assert_close(model.weight.detach().T, expected, rtol=1e-6, atol=1e-8)
    assert optimizer.param_groups[0]["damping"] < 0.02  # the quadratic foretells all


def test_the_next_solution_begins_with_the_last() -> None:
    """Beside conjugate gradients with the dense matrix of a quadratic."""
    x, y = regression()
    model = nn.Linear(5, 1, bias=False).double()
    optimizer = HessianFree(model, damping=2.0, warm_start=0.8)
    expected = torch.zeros(5, dtype=torch.float64)
    for iterations in (50, 1):
        optimizer.param_groups[0]["iterations"] = iterations
        a = x.T @ x / 40 + optimizer.param_groups[0]["damping"] * torch.eye(5, dtype=x.dtype)
        gradient = (x.T @ (x @ model.weight.detach().T - y) / 40).flatten()
        solutions = conjugate_gradients(a.mv, -gradient, start=0.8 * expected, iterations=iterations)
        expected = solutions[-1].x
        optimizer.step([(x, y)], lambda batch: mean_squares(batch, model))
        torch.testing.assert_close(optimizer.state[model.weight]["solution"].flatten(), expected, rtol=1e-9, atol=1e-12)


def test_it_goes_back_as_long_as_the_loss_falls() -> None:
    point = Point(0.0)
    around = Surroundings(point, [None], lambda batch: (point.place, lambda place: (place - 1).square().sum()))
    places = [0.9, 0.2, 1.2, 3.0, 5.0]
    found = [Solution(torch.tensor([x], dtype=torch.float64), -1.0, i) for i, x in enumerate(places)]
    best, value = _gone_back(found, around)
    assert best.x.item() == 1.2 and value == pytest.approx(0.04)  # what is better before a worse one is not seen


def test_logistic_regression_ends_where_newtons_method_does() -> None:
    x, y = regression(3)
    labels = (y + x[:, :1] > 0).double()
    w = np.zeros((5, 1))
    for _ in range(30):
        p = 1 / (1 + np.exp(-x.numpy() @ w))
        slope = x.numpy().T @ (p - labels.numpy()) / 40 + 0.01 * w
        w -= np.linalg.solve((x.numpy() * p * (1 - p)).T @ x.numpy() / 40 + 0.01 * np.eye(5), slope)
    model = nn.Linear(5, 1, bias=False).double()
    optimizer = HessianFree(model, weight_decay=0.01)
    for _ in range(30):
        optimizer.step(
            [None],
            lambda batch: (model(x), lambda z: nn.functional.binary_cross_entropy_with_logits(z, labels)),
        )
    np.testing.assert_allclose(model.weight.detach().numpy().T, w, rtol=1e-6, atol=1e-9)


class Memory(nn.Module):
    """Says at the end which of two inputs came first."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.dropout = Recurrent(CELLS["elman"](2, 6)), Dropout(0.2)
        self.output = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.dropout(self.layer(x)[0])[:, -1])


def memory(**options: Any) -> tuple[Memory, HessianFree, list[tuple[Tensor, Tensor]]]:
    torch.manual_seed(4)
    model = Memory()
    x, y = torch.randn(24, 5, 2), torch.randint(2, (24,))
    x[:, 0] = nn.functional.one_hot(y, 2).float() * 2
    batches = list(zip(x.split(6), y.split(6), strict=True))
    return model, HessianFree(model, curvature_share=0.5, hidden=[model.layer], **options), batches


def cross_entropy(model: nn.Module) -> Any:
    return lambda batch: (model(batch[0]), lambda z: nn.functional.cross_entropy(z, batch[1]))


def test_a_recurrent_network_learns_in_a_few_updates() -> None:
    model, optimizer, batches = memory(structural_damping=0.1)
    torch.manual_seed(1)
    losses = [optimizer.step(batches, cross_entropy(model)) for _ in range(12)]
    assert losses[0] > 0.6 and losses[-1] < 0.1


def test_structural_damping_shortens_the_way_of_hidden_states() -> None:
    moved = []
    for strength in (0.0, 100.0):
        model, optimizer, batches = memory(structural_damping=strength)
        model.eval()
        before = model.layer(batches[0][0])[0].detach()
        optimizer.step(batches, cross_entropy(model))
        moved.append((model.layer(batches[0][0])[0] - before).norm().item())
    assert moved[1] < moved[0] / 4


def test_it_goes_on_from_its_state_to_the_same_bits() -> None:
    model, optimizer, batches = memory(structural_damping=0.1)
    torch.manual_seed(1)
    for _ in range(2):
        optimizer.step(batches, cross_entropy(model))
    weights, state, generators = map(copy.deepcopy, (model.state_dict(), optimizer.state_dict(), torch.get_rng_state()))
    for _ in range(2):
        optimizer.step(batches, cross_entropy(model))
    again, other, _ = memory(structural_damping=0.1)
    again.load_state_dict(weights)
    other.load_state_dict(state)
    torch.set_rng_state(generators)
    for _ in range(2):
        other.step(batches, cross_entropy(again))
    assert other.param_groups[0]["damping"] == optimizer.param_groups[0]["damping"] != 1.0
    assert all(map(torch.equal, again.state_dict().values(), model.state_dict().values()))


def test_the_loss_and_the_draws_are_those_of_a_plain_pass() -> None:
    model, optimizer, batches = memory()
    torch.manual_seed(1)
    expected = sum(nn.functional.cross_entropy(model(x), y).item() for x, y in batches) / len(batches)
    after = torch.get_rng_state()
    torch.manual_seed(1)
    assert optimizer.step(batches, cross_entropy(model)) == pytest.approx(expected, rel=1e-6)
    assert torch.equal(torch.get_rng_state(), after)


def test_curvature_moves_on_by_half_of_its_batches() -> None:
    assert [overlapping(8, 0.5, update) for update in range(3)] == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    assert overlapping(8, 0.5, 3) == [6, 7, 0, 1] and overlapping(3, 0.01, 4) == [1] and overlapping(1, 1.0, 7) == [0]


def test_another_models_state_is_refused() -> None:
    model, optimizer, batches = memory()
    optimizer.step(batches, cross_entropy(model))
    state = optimizer.state_dict()
    with pytest.raises(BadInput, match=r"a state of another model \(shape \[6, 2\] for \[1, 5\]\)"):
        HessianFree(nn.Linear(5, 1)).load_state_dict(state)
    with pytest.raises(BadInput, match="a state that HessianFree has not saved"):
        optimizer.load_state_dict(torch.optim.SGD(model.parameters(), 0.1).state_dict())
    with pytest.raises(BadInput, match="another model .5 parameters."):
        HessianFree(nn.Sequential(model.layer)).load_state_dict(state)


def test_what_cannot_be_learnt_leaves_the_weights() -> None:
    model = nn.Linear(5, 1).double()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(NotFinite, match="not finite; the weights are as they were"):
        HessianFree(model).step([regression()], lambda batch: (model(batch[0]), lambda z: z.sum() * torch.inf))
    with pytest.raises(BadInput, match="without Gauss–Newton form"):
        HessianFree(model).step([regression()], lambda batch: (model(batch[0]), lambda z: -z.square().sum()))
    with pytest.raises(ValueError, match="at least one batch"):
        HessianFree(model).step([], lambda batch: None)
    assert all(map(torch.equal, model.state_dict().values(), before.values()))


def test_arguments_out_of_range() -> None:
    with pytest.raises(ValueError, match="damping must be above 0"):
        HessianFree(nn.Linear(1, 1), damping=0.0)
    with pytest.raises(ValueError, match="needs the layers"):
        HessianFree(nn.Linear(1, 1), structural_damping=1.0)
