"""Gradients of gradients by compiled loops, beside autograd through the cell called step by step."""

import pytest
import torch

from recurra.cells import CELLS, LSTM
from recurra.layers import Recurrent
from recurra.recurrence import reference
from recurra.recurrence.state import tensors
from tests.cells.helpers import randomised

EVERY = pytest.mark.parametrize("build", CELLS.values(), ids=CELLS.keys())


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_layer(layer, x, **how):
    outputs, state = layer(x, **how)
    return [outputs, *tensors(state)]


def by_reference(layer, x, **how):
    request = layer._request(x, None, how.get("lengths"), how.get("reset"))
    result = reference.answer(layer.cell, request)
    return [result.outputs, *tensors(result.state)]


def weighed(values):
    return sum((each * torch.linspace(-1, 1, each.numel()).view_as(each)).sum() for each in values if each is not None)


def derivatives(way, layer, x, order, **how):
    """Gradients of a loss, of a sum of these gradients, and so on, with respect to x and all weights."""
    leaves = [x, *layer.parameters()]
    total = weighed([each.sin() for each in way(layer, x, **how)])
    found = []
    for _ in range(order):
        gradients = torch.autograd.grad(total, leaves, create_graph=True, allow_unused=True)
        found += [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(gradients, leaves, strict=True)]
        total = weighed([g for g in gradients if g is not None and g.requires_grad])
    return [each.detach() for each in found]


def compare(layer, order, **how):
    x = draw(3, 6, 3).requires_grad_()
    found = derivatives(by_layer, layer, x, order, **how)
    expected = derivatives(by_reference, layer, x, order, **how)
    for one, other in zip(found, expected, strict=True):
        # sums of some thousand terms, none of them much larger than the largest result
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12 * (1 + float(other.abs().max())))


def layer_of(build):
    torch.manual_seed(0)
    return randomised(Recurrent(build(3, 5)))


@EVERY
def test_second_derivatives_are_those_of_the_steps(build):
    compare(layer_of(build), 2, lengths=torch.tensor([6, 2, 0]))


def test_second_derivatives_of_rows_that_are_all_as_long():
    compare(layer_of(LSTM), 2)


def test_third_derivatives_are_those_of_the_steps():
    compare(layer_of(LSTM), 3, reset=torch.arange(18).view(3, 6) % 5 == 3)


def test_a_tensor_given_twice_gets_the_gradient_of_both_places_once():
    layer, x = layer_of(LSTM), draw(3, 6, 3)
    start = draw(3, 5, seed=1).requires_grad_()
    found = []
    for way in (lambda s: layer(x, s)[0], lambda s: reference.answer(layer.cell, layer._request(x, s, None, None))[0]):
        state = type(layer.initial_state(3))(start, start)
        (first,) = torch.autograd.grad(way(state).sin().sum(), start, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), start)[0])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-12)


def test_no_step_is_taken_by_itself(monkeypatch):
    layer, x = layer_of(LSTM), draw(3, 6, 3).requires_grad_()
    derivatives(by_layer, layer, x, 2)
    calls = []
    monkeypatch.setattr(LSTM, "forward", lambda *given: calls.append(given))
    derivatives(by_layer, layer, x, 2)
    assert calls == []
