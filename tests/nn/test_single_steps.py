"""Calls of one step without gradients, which go the shortest way, side by side with torch.nn."""

import pytest
import torch
from torch.nn.utils.parametrize import register_parametrization

from recurra.nn import layers
from recurra.recurrence.state import map_state, tensors
from tests.nn.helpers import KINDS, F, close, pair, results


def stepped(kind, rows=1, **options):
    """Both layers, and a call's arguments; ours has taken such steps before."""
    theirs, ours = pair(kind, **options)
    theirs, ours = theirs.requires_grad_(False), ours.requires_grad_(False)
    draw = torch.Generator().manual_seed(2)
    x = torch.randn(*((rows, 1) if theirs.batch_first else (1, rows)), F, dtype=torch.float64, generator=draw)
    hx = map_state(lambda leaf: torch.randn(leaf.shape, dtype=leaf.dtype, generator=draw), theirs(x)[1])
    with torch.no_grad():
        for _ in range(3):
            ours(x, hx)
    return theirs, ours, x, hx


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_first": True},
        {"bias": False},
        {"num_layers": 2},
        {"bidirectional": True},
        {"num_layers": 3, "bidirectional": True, "batch_first": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_step_is_torchs(kind, options, rows):
    theirs, ours, x, hx = stepped(kind, rows, **options)
    for _ in range(3):
        want, got = theirs(x, hx), ours(x, hx)
        assert got[0].shape == want[0].shape and type(got[1]) is type(want[1])
        close([got[0], *tensors(got[1])], [want[0], *tensors(want[1])])
        x, hx = x + 0.1, want[1]


@torch.no_grad()
@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}], ids=str)
def test_a_step_of_several_layers_calls_each_directly(options, monkeypatch):
    """Once such a step has been taken, the way of whole sequences is gone no more, unless dropout comes between."""
    _, ours, x, hx = stepped("lstm", dropout=0.5 * (options.get("num_layers", 1) > 1), **options)
    calls = []
    run = layers._run
    monkeypatch.setattr(layers, "_run", lambda *given: calls.append(given) or run(*given))
    ours.eval()(x, hx)
    assert not calls
    ours.train()(x, hx)
    assert bool(calls) == (ours.dropout > 0)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_new_weights_and_longer_sequences_are_seen(kind):
    theirs, ours, x, hx = stepped(kind)
    for layer in (theirs, ours):
        for weight in layer.parameters():
            weight.data = weight.data * 2
    close(results(ours, x, hx), results(theirs, x, hx))
    longer = x.expand(5, -1, -1)
    close(results(ours, longer, hx), results(theirs, longer, hx))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 2])
def test_weights_are_read_where_the_layer_has_them(kind, rows):
    theirs, ours, x, hx = stepped(kind, rows)
    for layer in (theirs, ours):
        layer.weight_hh_l0.data = layer.weight_hh_l0.data.T.contiguous().T
    close(results(ours, x, hx), results(theirs, x, hx))
    twice = {name: 2 * value for name, value in theirs.named_parameters()}
    want, got = (torch.func.functional_call(layer, twice, (x, hx)) for layer in (theirs, ours))
    close([got[0], *tensors(got[1])], [want[0], *tensors(want[1])])
    close(results(ours, x, hx), results(theirs, x, hx))
    for layer in (theirs, ours):
        register_parametrization(layer, "weight_ih_l0", torch.nn.Tanh())
    for _ in range(2):
        close(results(ours, x, hx), results(theirs, x, hx))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_the_batch_may_come_first_from_now_on(kind):
    theirs, ours, x, hx = stepped(kind, 2)
    x, hx = x.transpose(0, 1), map_state(lambda leaf: leaf[:, :1], hx)
    for batch_first in (False, True, False):  # two steps of one row, one step of two rows
        rows = hx if not batch_first else map_state(lambda leaf: leaf.expand(-1, 2, -1), hx)
        for layer in (theirs, ours):
            layer.batch_first = batch_first
        for _ in range(2):
            close(results(ours, x, rows), results(theirs, x, rows))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_state_is_torchs_error(kind):
    theirs, ours, x, hx = stepped(kind)
    wider, narrower = (map_state(cut, hx) for cut in (lambda leaf: leaf.expand(2, -1, -1), lambda leaf: leaf[..., :-1]))
    for wrong in (wider, narrower, x, (hx,)):
        with pytest.raises(Exception) as want:  # noqa: PT011
            theirs(x, wrong)
        with pytest.raises(want.type) as got:
            ours(x, wrong)
        assert str(got.value) == str(want.value)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_the_state_may_be_edited_in_place(kind):
    _, ours, x, hx = stepped(kind)
    output, last = ours(x, hx)
    kept = output.clone()
    for leaf in tensors(last):
        leaf.zero_()
    assert torch.equal(output, kept)
