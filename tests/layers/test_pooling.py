"""Pooling against loops over each row's own steps, whole and step by step."""

import numpy as np
import pytest
import torch

from recurra.layers.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling

LENGTHS = torch.tensor([7, 1, 4])
F = 5


def sequences():
    """Three rows of 7, 1 and 4 steps, with what is not a number behind their ends."""
    x = 3 * torch.randn(3, 7, F, generator=torch.manual_seed(3), dtype=torch.float64)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = torch.nan
    return x


def attention():
    torch.manual_seed(1)
    return AttentionPooling(F, 4).double()


def attended(steps):
    """The definition, of one row as an array (T, F)."""
    layer = attention()
    w, b, q = (p.detach().numpy() for p in (layer.keys.weight, layer.keys.bias, layer.query.weight))
    scores = np.array([float((q @ np.tanh(w @ h + b))[0]) for h in steps])
    chances = np.exp(scores) / np.exp(scores).sum()
    return sum(chance * h for chance, h in zip(chances, steps, strict=True))


POOLINGS = {
    "last": (LastPooling, lambda steps: steps[-1]),
    "mean": (MeanPooling, lambda steps: steps.sum(0) / len(steps)),
    "max": (MaxPooling, lambda steps: np.array([max(column) for column in steps.T])),
    "attention": (attention, attended),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_each_row_by_its_own_steps(name):
    make, wanted = POOLINGS[name]
    x = sequences()
    rows = [wanted(row[:length].numpy()) for row, length in zip(x, LENGTHS, strict=True)]
    torch.testing.assert_close(make()(x, LENGTHS), torch.from_numpy(np.array(rows)))
    torch.testing.assert_close(make()(x[:1]), torch.from_numpy(rows[0])[None])  # all steps, where no length is given


@pytest.mark.parametrize("name", POOLINGS)
def test_step_by_step_it_is_what_the_steps_so_far_give(name):
    make, wanted = POOLINGS[name]
    x, layer, state = sequences()[[0, 0]] * torch.tensor([1.0, -2.0])[:, None, None], make(), None
    for place, step in enumerate(x.unbind(1)):
        pooled, state = layer.step(step, state)
        rows = [wanted(row[: place + 1].numpy()) for row in x]
        torch.testing.assert_close(pooled, torch.from_numpy(np.array(rows)))


@pytest.mark.parametrize("name", POOLINGS)
def test_what_stands_behind_an_end_has_no_gradient(name):
    x = sequences().nan_to_num(9.0).requires_grad_()
    POOLINGS[name][0]()(x, LENGTHS).square().sum().backward()
    assert all(not x.grad[row, length:].any() and x.grad[row, :length].any() for row, length in enumerate(LENGTHS))


def test_attention_goes_on_from_scores_of_any_size():
    layer = AttentionPooling(1, 1)
    with torch.no_grad():
        layer.keys.weight.fill_(1.0), layer.keys.bias.zero_(), layer.query.weight.fill_(300.0)
    x, state = torch.tensor([[[-9.0], [9.0], [-9.0], [9.0]]]), None
    for step, wanted in zip(x.unbind(1), (-9.0, 9.0, 9.0, 9.0), strict=True):
        pooled, state = layer.step(step, state)
        assert pooled.item() == pytest.approx(wanted)
    torch.testing.assert_close(layer(x), torch.tensor([[9.0]]))


def test_attention_weights_end_where_the_row_does():
    weights = attention().weights(sequences().nan_to_num(9.0), LENGTHS)
    torch.testing.assert_close(weights.sum(1), torch.ones(3, dtype=torch.float64))
    assert all(not weights[row, length:].any() for row, length in enumerate(LENGTHS))


def test_a_layer_that_reads_from_the_end_is_last_at_the_first_step():
    x = sequences()
    pooled = LastPooling(backward=2)(x, LENGTHS)
    wanted = [torch.cat([x[row, length - 1, :3], x[row, 0, 3:]]) for row, length in enumerate(LENGTHS)]
    assert torch.equal(pooled, torch.stack(wanted))
    with pytest.raises(ValueError, match="from its end"):
        LastPooling(backward=2).step(x[:, 0])
