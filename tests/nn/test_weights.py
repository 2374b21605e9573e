"""The weights belong to the layer alone: whatever becomes of them there, the next call reads."""

import copy
import gc
import io
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.utils import parametrizations, parametrize

import recurra
from recurra.nn.layers import _recurrents
from tests.nn.helpers import KINDS, B, F, H, close, gradients, pair, results, sequences, state

pytestmark = [
    pytest.mark.usefixtures("on_our_own"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]


@pytest.fixture(params=KINDS)
def both(request):
    """A layer of torch's, and ours with its weights, which has been called before."""
    theirs, ours = pair(request.param, num_layers=2, bidirectional=True)
    ours(sequences(ours)[0])
    return theirs, ours


def unpickled(layer):
    return pickle.loads(pickle.dumps(layer))


def stored(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, unpickled, stored])
def test_copies_have_weights_of_their_own(both, copied):
    theirs, ours = both
    x, _ = sequences(ours)
    other = copied(ours)
    close(results(other, x), results(theirs, x))
    with torch.no_grad():
        other.weight_hh_l0.zero_()
    close(results(ours, x), results(theirs, x))
    assert not torch.equal(results(other, x)[0], results(ours, x)[0])


def test_edits_replacements_and_casts_are_seen(both):
    theirs, ours = both
    x, _ = sequences(ours)
    for layer in both:
        layer.weight_hh_l1.data *= 2
        layer.weight_ih_l0 = nn.Parameter(layer.weight_ih_l0.detach() * 3)
    close(results(ours, x), results(theirs, x))
    for layer in both:
        torch.optim.SGD(layer.parameters(), lr=0.1).zero_grad()
        results(layer, x)[0].sum().backward()
        torch.optim.SGD(layer.parameters(), lr=0.1).step()
    close(results(ours, x), results(theirs, x))
    theirs.float(), ours.float()
    close(results(ours, x.float()), results(theirs, x.float()), 1e-6)


def test_functional_call(both):
    theirs, ours = both
    x, _ = sequences(ours)
    other = {name: (value.detach() * 1.5).requires_grad_() for name, value in ours.named_parameters()}
    want, got = (results(lambda *a, layer=layer: functional_call(layer, other, a), x) for layer in both)
    close(got, want)
    close(gradients(got, [x, *other.values()]), gradients(want, [x, *other.values()]))
    close(results(ours, x), results(theirs, x))
    small = {name: value.float() for name, value in other.items()}
    got = results(lambda *arguments: functional_call(ours, small, arguments), x.float())
    close(got, [leaf.float() for leaf in want], 1e-6)


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh"])
def test_gradients_of_single_rows(kind):
    _, ours = pair(kind)
    x, weights = sequences(ours)[0].detach(), {name: value.detach() for name, value in ours.named_parameters()}

    def loss(weights, row):
        return functional_call(ours, weights, row)[0].square().sum()

    together = vmap(grad(loss), (None, 1))(weights, x)
    for row in range(B):
        close({name: value[row] for name, value in together.items()}, grad(loss)(weights, x[:, row]))


class Doubled(nn.Module):
    calls = 0

    def forward(self, weight):
        Doubled.calls += 1
        return weight * 2


def test_a_parametrized_weight_is_computed_once_in_a_call(both):
    theirs, ours = both
    x, _ = sequences(ours)
    for layer in both:
        parametrize.register_parametrization(layer, "weight_hh_l0", Doubled())
    want = results(theirs, x)
    Doubled.calls = 0
    got = results(ours, x)
    assert Doubled.calls == 1
    close(got, want)
    close(gradients(got, list(ours.parameters())), gradients(want, list(theirs.parameters())))
    close(results(copy.deepcopy(ours), x), want)
    for layer in both:
        parametrize.remove_parametrizations(layer, "weight_hh_l0")
    close(results(ours, x), want)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("normalise", [parametrizations.weight_norm, nn.utils.weight_norm], ids=["new", "old"])
def test_weight_norm(both, normalise):
    theirs, ours = both
    x, _ = sequences(ours)
    for layer in both:
        normalise(layer, "weight_hh_l0")
        with torch.no_grad():
            next(value for name, value in layer.named_parameters() if name.endswith(("original0", "_g"))).mul_(2)
    want, got = results(theirs, x), results(ours, x)
    close(got, want)
    names = [name for name, _ in theirs.named_parameters()]
    assert [name for name, _ in ours.named_parameters()] == names
    close(gradients(got, list(ours.parameters())), gradients(want, list(theirs.parameters())))


def test_one_parameter_may_serve_twice():
    theirs, ours = pair("gru", num_layers=2)
    x, _ = sequences(ours)
    for layer in (theirs, ours):
        layer.bias_hh_l0 = layer.bias_ih_l0
        layer.weight_hh_l1 = layer.weight_ih_l1
    want, got = results(theirs, x), results(ours, x)
    close(got, want)
    assert len(list(ours.parameters())) == 6
    close(gradients(got, list(ours.parameters())), gradients(want, list(theirs.parameters())))


def test_frozen_weights_need_no_gradient(both):
    theirs, ours = both
    x, hx = sequences(ours)[0].detach(), state(ours)
    for layer in both:
        layer.requires_grad_(False).weight_hh_l0.requires_grad_()
    got = gradients(results(ours, x, hx), [ours.weight_hh_l0])
    close(got, gradients(results(theirs, x, hx), [theirs.weight_hh_l0]))
    with torch.no_grad():
        assert not any(leaf.requires_grad for leaf in results(ours, x, hx))


def test_recurrences_stay_and_go_with_their_layer():
    layer = recurra.nn.GRU(F, H)
    x = torch.zeros(2, 1, F)
    layer(x)
    before = _recurrents(layer)
    layer(x)
    assert _recurrents(layer) is before
    gone = weakref.ref(layer), weakref.ref(before[0])
    del layer, before
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_threads_may_share_a_layer(both):
    theirs, ours = both
    inputs = [torch.randn(6, B, F, dtype=torch.float64) for _ in range(8)]
    with ThreadPoolExecutor(4) as threads:
        got = list(threads.map(lambda x: results(ours, x), inputs))
    close(got, [results(theirs, x) for x in inputs])


@pytest.mark.parametrize("kind", ["lstm", "gru", "relu"])
def test_export(kind):
    theirs, ours = pair(kind, num_layers=2)
    x = sequences(ours)[0].detach()
    exported = torch.export.export(ours, (x,)).module()
    close(exported(x), theirs(x))
    close(results(ours, x), results(theirs, x))
