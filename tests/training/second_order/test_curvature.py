"""Products beside the matrices themselves, of small networks in float64."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import hessian

from recurra.errors import BadInput
from recurra.training.second_order import curvature
from recurra.training.second_order.curvature import GaussNewton, Hessian
from recurra.training.second_order.passes import Made, Pass, trainable
from recurra.training.second_order.vectors import flat, parts
from tests.training.second_order import networks


def columns(product: Any, size: int) -> Tensor:
    return torch.stack([product(column) for column in torch.eye(size, dtype=torch.float64)], 1)


@pytest.mark.parametrize("name", networks.NAMES)
def test_products_are_those_of_the_dense_matrices(name: str) -> None:
    model = networks.make(name)
    gradient, gauss_newton, exact = networks.dense(model, seed=3)
    for kind, expected in ((GaussNewton, gauss_newton), (Hessian, exact)):
        torch.manual_seed(3)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        found = kind(*networks.taken(model))
        generators = torch.get_rng_state()
        torch.testing.assert_close(found.gradient, gradient, rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(columns(found.product, len(gradient)), expected, rtol=1e-9, atol=1e-12)
        assert torch.equal(torch.get_rng_state(), generators)
        if name == "tied":
            assert model.passes == before["passes"] + 1  # by the first pass alone
        model.load_state_dict(before)


def test_every_operation_with_forward_mode_takes_it_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def noted(*given: Any) -> list[Tensor]:
        result = forward_mode(*given)
        taken.append(name)
        return result

    forward_mode = curvature.forward_mode
    monkeypatch.setattr(curvature, "forward_mode", noted)
    for name in networks.NAMES:
        found = GaussNewton(*networks.taken(networks.make(name)))
        found.product(torch.ones_like(found.gradient))
    assert taken == ["elman", "lstm", "torch-lstm", "dropout", "tied"]


@pytest.mark.parametrize("name", ["elman", "torch-lstm"])
def test_both_ways_of_a_tangent_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = GaussNewton(*networks.taken(networks.make(name)))
    v = torch.randn_like(found.gradient)
    one = found.product(v)

    def refuse(*given: Any) -> list[Tensor]:
        raise NotImplementedError

    monkeypatch.setattr(curvature, "forward_mode", refuse)
    torch.testing.assert_close(found.product(v), one, rtol=1e-12, atol=1e-15)


def test_outputs_may_nest_and_hold_what_is_not_learnt() -> None:
    model = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(3, 1)}).double()
    x = torch.randn(5, 3, dtype=torch.float64)

    def objective(x: Tensor) -> Any:
        a = model["a"](x)
        return {"a": a, "more": (model["b"](x), torch.arange(3), a, x)}, loss

    def loss(outputs: Any) -> Tensor:
        b, _, again, x = outputs["more"]
        return outputs["a"].square().sum() + (again + b).square().sum() + (b * x).square().sum()

    one = Pass(model, objective, x)
    found = GaussNewton(one, one.first(), list(trainable(model).values()))
    exact = Hessian(one, one.first(), list(trainable(model).values()))  # the same, as the outputs are linear
    torch.testing.assert_close(columns(found.product, 12), columns(exact.product, 12), rtol=1e-12, atol=1e-12)


def test_hidden_states_are_held_where_they_are() -> None:
    """The product of structural damping is that of half the mean squared distance of all vectors of h."""
    model: Any = networks.make("elman")
    x, _ = networks.batch()
    one = Pass(model, partial(networks.objective, model), networks.batch(), [model.layer])
    parameters = list(trainable(model).values())
    found = GaussNewton(one, one.first(), parameters)
    here = flat(parameters).detach()

    def states(theta: Tensor) -> Tensor:
        weights = dict(zip(trainable(model), parts(theta, parameters), strict=True))
        return torch.func.functional_call(model.layer, {k[6:]: v for k, v in weights.items() if "layer" in k}, (x,))[0]

    start = states(here).detach()
    held = hessian(lambda theta: (states(theta) - start).square().sum(-1).mean() / 2, here)
    size = len(here)
    with_states = columns(lambda v: found.product(v, hidden=0.7), size)
    torch.testing.assert_close(with_states - columns(found.product, size), 0.7 * held, rtol=1e-9, atol=1e-12)


def squared(model: nn.Module, sign: float) -> GaussNewton:
    one = Pass(model, lambda x: (model(x), lambda z: sign * z.square().mean()), torch.ones(2, 3))
    return GaussNewton(one, one.first(), list(trainable(model).values()))


def test_a_loss_that_is_not_convex_is_refused() -> None:
    model = nn.Linear(3, 2)
    squared(model, 1.0).product(torch.ones(8))
    with pytest.raises(BadInput, match="a loss without Gauss–Newton form: it must be convex"):
        squared(model, -1.0).product(torch.ones(8))


def test_a_loss_that_goes_past_the_outputs_is_refused() -> None:
    model = nn.Linear(3, 2)
    one = Pass(model, lambda x: (model(x), lambda z: z.sum() + model.weight.square().sum()), torch.ones(2, 3))
    with pytest.raises(BadInput, match="without Gauss–Newton form: it depends on weights .* weight_decay"):
        GaussNewton(one, one.first(), list(trainable(model).values()))


@pytest.mark.parametrize("seed", range(5))
def test_a_saturated_softmax_is_convex_to_rounding(seed: int) -> None:
    """Along the direction that moves all scores alike its curvature is zero, computed as a little less at times."""
    torch.manual_seed(seed)
    model = nn.Linear(3, 50)
    x = 30 * torch.randn(40, 3)
    y = model(x).argmax(1)
    one = Pass(model, lambda x: (model(x), lambda z: nn.functional.cross_entropy(z, y)), x)
    found = GaussNewton(one, one.first(), list(trainable(model).values()))
    assert found.product(torch.ones_like(found.gradient)).isfinite().all()


def test_a_linear_loss_and_a_linear_function_have_no_curvature() -> None:
    model = nn.Linear(3, 2)
    one = Pass(model, lambda x: (model(x), lambda z: z.sum()), torch.ones(2, 3))
    made: Made = one.first()
    for kind in (GaussNewton, Hessian):
        found = kind(one, made, list(trainable(model).values()))
        assert found.product(torch.ones(8)).abs().max() == 0 and found.gradient.abs().max() > 0
