"""Proximal maps against the minima that define them, scikit-learn's solutions and optimality conditions."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.linear_model import ElasticNet, Lasso
from torch import Tensor, nn

from recurra.cells import GRU, LSTM, LayerNormLSTM, PeepholeLSTM
from recurra.errors import BadInput
from recurra.layers import Recurrent, Stack
from recurra.models.language_model import LanguageModel
from recurra.training.penalties.weights import proximal_step, weight_penalties, zeros


@pytest.fixture(autouse=True)
def in_float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def readout(values: list[list[float]]) -> nn.Linear:
    linear = nn.Linear(len(values[0]), len(values), bias=False)
    linear.weight.data = torch.tensor(values)
    return linear


VALUES = [-3.0, -0.31, -0.3, -0.1, 0.0, 0.05, 0.3, 0.4, 2.0]


@pytest.mark.parametrize(
    ("asked", "penalty"),
    [
        (["l1=0.6"], lambda v: 0.6 * abs(v)),
        (["l2=0.6"], lambda v: 0.3 * v**2),
        (["l2=0.8", "l1=0.6"], lambda v: 0.6 * abs(v) + 0.4 * v**2),
    ],
)
def test_each_weight_becomes_the_minimum_that_defines_the_map(asked: list[str], penalty: Any) -> None:
    model = readout([VALUES])
    proximal_step(weight_penalties(model, asked), rate=0.5)
    for w, found in zip(VALUES, model.weight[0].tolist(), strict=True):

        def cost(v: float, w: float = w) -> float:
            return (v - w) ** 2 / 2 + 0.5 * penalty(v)

        best = minimize_scalar(cost, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10}).x
        assert found == pytest.approx(best, abs=1e-6)
        assert found == 0 or abs(found) > 1e-6  # zeros are zeros


def test_truncated_gradient() -> None:
    """Langford, Li and Zhang's T_1(v, α, θ), their equation 4, with α = 0.2 and θ = 0.35."""
    model = readout([VALUES])
    proximal_step(weight_penalties(model, "output:truncated=0.4,0.35"), rate=0.5)
    torch.testing.assert_close(model.weight[0], torch.tensor([-3.0, -0.11, -0.1, 0.0, 0.0, 0.0, 0.1, 0.4, 2.0]))


def regression() -> tuple[Tensor, Tensor]:
    x = torch.randn(40, 8) * torch.tensor([3.0, 1, 1, 1, 2, 1, 0.5, 1])
    return x, x @ torch.tensor([1.0, 0, -0.8, 0, 0, 0.3, 0, 0]) + 0.3 * torch.randn(40)


def descend(model: nn.Module, loss: Any, asked: Any, steps: int = 4000) -> None:
    """Plain gradient descent with the penalties' step after each of its own."""
    optimizer, penalties = torch.optim.SGD(model.parameters(), lr=0.05), weight_penalties(model, asked)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        proximal_step(penalties, rate=0.05)


@pytest.mark.parametrize(("l1", "l2"), [(0.05, 0.0), (0.2, 0.0), (0.3, 0.5)])
def test_least_squares_end_where_scikit_learn_says(l1: float, l2: float) -> None:
    x, y = regression()
    model = nn.Linear(8, 1, bias=False)
    descend(model, lambda: (model(x)[:, 0] - y).square().mean() / 2, {"output:l1": l1, "output:l2": l2})
    options = {"fit_intercept": False, "tol": 1e-12, "max_iter": 100_000}
    peer = ElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), **options) if l2 else Lasso(alpha=l1, **options)
    wanted = peer.fit(x.numpy(), y.numpy()).coef_
    np.testing.assert_allclose(model.weight[0].detach().numpy(), wanted, atol=1e-7)
    assert ((wanted == 0) == (model.weight[0].detach().numpy() == 0)).all() and 0 < (wanted == 0).sum() < 8


def test_units_are_left_out_as_wholes_where_the_optimality_conditions_say() -> None:
    x = torch.randn(60, 6)
    y = x @ torch.tensor([[1.0, 0.8], [0, 0], [0.1, -0.05], [-0.7, 0.1], [0, 0], [0.04, 0]])
    model, strength = nn.Linear(6, 2, bias=False), 0.08

    def loss() -> Tensor:
        return (model(x) - y).square().mean() / 2

    descend(model, loss, {"output:group-out": strength})
    (gradient,) = torch.autograd.grad(loss(), model.weight)
    least = strength * 2**0.5
    left_out = (model.weight == 0).all(0)
    assert 0 < left_out.sum() < 6 and ((model.weight == 0).any(0) == left_out).all()
    for column, slope, out in zip(model.weight.T, gradient.T, left_out, strict=True):
        if out:
            assert slope.norm() <= least
        else:
            torch.testing.assert_close(slope, -least * column / column.norm(), atol=1e-9, rtol=1e-6)


def of_units(cell: nn.Module, name: str) -> Tensor:
    """The recurrent weights of a cell, (gates, to, from)."""
    return torch.stack([gate.detach().clone() for gate in (cell.get_parameter(f"{g}.{name}") for g in "gifo")])


@pytest.mark.parametrize(("name", "dims"), [("group-out", (0, 1)), ("group-in", (0, 2))])
def test_the_gates_of_a_unit_are_one_group(name: str, dims: tuple[int, int]) -> None:
    """In each layer by itself, and of the recurrent weights alone."""
    cells = [LSTM(3, 4), LSTM(4, 4)]
    model = Stack(*map(Recurrent, cells))
    before, rest = [of_units(cell, "W_h") for cell in cells], [of_units(cell, "W_x") for cell in cells]
    norms = [weights.square().sum(dims).sqrt() for weights in before]
    least = torch.cat(norms).median()
    proximal_step(weight_penalties(model, {f"layers.*W_h:{name}": least.item() / 16**0.5}), rate=1.0)
    for cell, weights, own, others in zip(cells, before, norms, rest, strict=True):
        kept = (1 - least / own).clamp(min=0)
        wanted = weights * (kept.view(1, 1, 4) if name == "group-out" else kept.view(1, 4, 1))
        torch.testing.assert_close(of_units(cell, "W_h"), wanted)
        assert torch.equal(of_units(cell, "W_x"), others)
    assert sum(int((own <= least).sum()) for own in norms) == 4


def test_stacked_gates_are_groups_like_separate_ones() -> None:
    ours, torchs, normed = GRU(3, 4), nn.GRU(3, 4), LayerNormLSTM(3, 4)
    with torch.no_grad():
        torchs.weight_hh_l0.copy_(torch.cat([ours.r.W_h, ours.z.W_h, ours.g.W_h]))
    for name in ("group-in", "group-out"):
        for module in (ours, torchs):
            proximal_step(weight_penalties(module, {f"recurrent:{name}": 0.1}), rate=1.0)
    torch.testing.assert_close(torchs.weight_hh_l0, torch.cat([ours.r.W_h, ours.z.W_h, ours.g.W_h]))
    proximal_step(weight_penalties(normed, {"recurrent:group-in": 1e3}), rate=1.0)
    assert not normed.W_h.any() and normed.W_x.all()


def language_model() -> LanguageModel:
    return LanguageModel(7, 3, Stack(Recurrent(PeepholeLSTM(3, 4))), 4)


@pytest.mark.parametrize("group", ["input", "recurrent", "bias", "embedding", "output", ""])
def test_a_group_and_nothing_else(group: str) -> None:
    model = language_model()
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.5)
    proximal_step(weight_penalties(model, f"{group}:l1=1" if group else "l1=1"), rate=1.0)
    gone = {role for role, found in zeros(model).items() if found["zero"] == found["weights"]}
    kept = {role for role, found in zeros(model).items() if found["zero"] == 0}
    everything = {"input", "recurrent", "bias", "embedding", "output"}
    assert gone == ({group} if group else everything - {"bias"}) and kept == everything - gone
    assert zeros(model)["recurrent"]["weights"] == 4 * 16 + 3 * 4


def test_a_token_is_a_group_of_the_embedding() -> None:
    model = language_model()
    with torch.no_grad():
        model.embedding.weight[2:4] *= 0.001
    proximal_step(weight_penalties(model, "embedding:group-in=0.01"), rate=1.0)
    assert (model.embedding.weight == 0).all(1).tolist() == [False, False, True, True, False, False, False]


def test_no_step_at_a_rate_of_zero() -> None:
    model = language_model()
    with torch.no_grad():
        model.embedding.weight[0] = 0
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    asked = [f"{name}=1" for name in ("l1", "l2", "truncated", "group-in", "group-out")]
    proximal_step(weight_penalties(model, asked), rate=0.0)
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


def test_a_compiled_loop_sees_the_new_weights() -> None:
    layer, x = Recurrent(LSTM(3, 4)), torch.randn(2, 5, 3)
    layer(x)
    proximal_step(weight_penalties(layer, ["l1=100", "bias:l1=100"]), rate=1.0)
    assert layer(x)[0].eq(0).all()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("embedding:l1=1", "--regularize embedding:l1=1: the model has no such weights; it has weights of the groups"),
        ("decoder.*:l1=1", "it has weights of the groups input, recurrent, bias"),
        ("bias:group-in=1", "the model has no such matrices"),
    ],
)
def test_groups_that_a_model_does_not_have(asked: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        weight_penalties(Recurrent(LSTM(3, 4)), asked)
    assert said in str(caught.value)
