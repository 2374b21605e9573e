"""Layers on ragged batches beside their cells called step by step: everything they give, and every gradient."""

import pytest
import torch
from torch import nn

from recurra.cells import CELLS
from recurra.layers import Bidirectional, Recurrent, Stack
from recurra.recurrence import fused, paths, reference
from recurra.recurrence.state import map_state, tensors
from tests.recurrence.test_packing import LENGTHS

T, F = 7, 6


def results(layer, way, lengths, *, reset=False, dtype=torch.float64):
    """Of a call with states, trajectory and padding that is no number: outputs, states and gradients."""
    draw = torch.Generator().manual_seed(1)
    batch = len(lengths)
    x = torch.randn(batch, T, F, generator=draw, dtype=torch.float64).to(dtype)
    x[torch.arange(T) >= lengths[:, None]] = torch.nan
    x.requires_grad_()
    state = layer.initial_state(batch)
    state = map_state(
        lambda leaf: torch.randn(leaf.shape, generator=draw, dtype=torch.float64).to(dtype).requires_grad_(), state
    )
    resets = torch.rand(batch, T, generator=draw) < 0.3 if reset else None
    result = way(layer._request(x, state, lengths, resets)._replace(trajectory=True))
    values = [result.outputs, *tensors(result.state), *tensors(result.states)]
    loss = sum((v * torch.linspace(-1, 1, v.numel(), dtype=v.dtype).view_as(v)).sum() for v in values)
    leaves = [x, *tensors(state), *layer.parameters()]
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [*values, *(torch.zeros(()) if each is None else each for each in gradients)]


@LENGTHS
@pytest.mark.parametrize("reset", [False, True], ids=["no reset", "reset"])
@pytest.mark.parametrize("name", ["lstm", "gru", "gru-reset-before", "layer-norm-lstm", "indrnn", "recurrent-highway"])
def test_all_a_ragged_call_gives_is_what_the_steps_give(name, reset, lengths):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name](F, F).double())
    lengths = torch.tensor(lengths)
    found = results(layer, layer._answer, lengths, reset=reset)
    want = results(layer, lambda request: reference.answer(layer.cell, request), lengths, reset=reset)
    assert layer.plans.found[-1].fault is None
    for one, other in zip(found, want, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_rows_that_all_run_to_the_end_are_not_packed(monkeypatch):
    layer, x = Recurrent(nn.GRUCell(F, 4)), torch.randn(3, T, F)
    want = layer(x)
    layer(x, lengths=torch.tensor([T, 1, 1]))
    monkeypatch.setattr(fused, "pack_lengths", None)
    found = layer(x, lengths=torch.tensor([T] * 3))
    assert all(map(torch.equal, found, want))


def test_second_derivatives_of_a_ragged_call():
    torch.manual_seed(0)
    layer = Recurrent(nn.GRUCell(2, 3, dtype=torch.float64))
    x, h = torch.randn(3, 4, 2, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)
    given = x.requires_grad_(), h.requires_grad_()
    lengths = torch.tensor([2, 0, 4])

    def call(x, h):
        outputs, last = layer(x, h, lengths)
        return outputs, last

    assert torch.autograd.gradcheck(call, given) and torch.autograd.gradgradcheck(call, given)


def test_a_ragged_call_is_compared_with_the_reference_at_its_first_use(monkeypatch):
    layer, x = Recurrent(nn.LSTMCell(F, 4)), torch.randn(3, T, F)
    layer(x)
    monkeypatch.setattr(fused, "unpack", lambda series, packing, steps: torch.ones(packing.batch, steps, 4))
    outputs, _ = layer(x, lengths=torch.tensor([5, 2, 0]))
    assert layer.explain().path == "reference"
    want = reference.answer(layer.cell, layer._request(x, None, torch.tensor([5, 2, 0]), None)).outputs
    assert torch.equal(outputs, want)


def test_layers_of_layers_take_rows_of_any_order():
    """A row's results do not depend on the rows beside it."""
    torch.manual_seed(0)
    both = Bidirectional(*(Recurrent(nn.GRUCell(F, 3, dtype=torch.float64)) for _ in range(2)))
    stack = Stack(both, Recurrent(nn.LSTMCell(F, 4, dtype=torch.float64)))
    x, lengths = torch.randn(5, T, F, dtype=torch.float64), torch.tensor([3, T, 1, 5, 3])
    outputs, _ = stack(x, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, _ = stack(x[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0], rtol=0, atol=1e-13)
        assert not outputs[row, length:].any()


@pytest.mark.parametrize("training", [True, False])
def test_packed_rows_are_computed_as_they_come(training, monkeypatch):
    torch.manual_seed(0)
    layer = Recurrent(nn.GRUCell(F, 4, dtype=torch.float64))
    lengths = torch.tensor([6, 4, 4, 1])
    x = torch.randn(4, 6, F, dtype=torch.float64)
    packing = fused.pack_lengths(lengths)
    h = torch.randn(4, 4, dtype=torch.float64)
    with torch.set_grad_enabled(training):
        (first,) = paths.end([paths.begin_packed(layer.cell, layer.plans, fused.pack(x, packing), h, packing)])
        for name in ("pack", "unpack"):  # padding is none of a later call's
            monkeypatch.setattr(paths, name, None)
        (second,) = paths.end([paths.begin_packed(layer.cell, layer.plans, fused.pack(x, packing), h, packing)])
    want = layer(x, h, lengths)
    for found in (first, second):
        torch.testing.assert_close(fused.unpack(found[0], packing, 6), want[0], rtol=0, atol=1e-14)
        torch.testing.assert_close(found[1], want[1], rtol=0, atol=1e-14)
