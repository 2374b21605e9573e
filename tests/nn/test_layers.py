"""Side by side with torch.nn over its documented contract; in float64 1e-12 is rounding."""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

import recurra
from recurra.recurrence.state import tensors
from tests.nn.helpers import FORMS, KINDS, B, F, H, T, close, covering, gradients, pair, results, sequences, state
from tests.recurrence.abreast import assert_same_bits, both_ways, needs_pool

pytestmark = [
    pytest.mark.usefixtures("on_our_own"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]
TF = [False, True]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@covering(kind=KINDS, num_layers=[1, 3], bidirectional=TF, bias=TF, batch_first=TF, form=FORMS, given=TF)
def test_results_and_gradients_equal_torchs(kind, num_layers, bidirectional, bias, batch_first, form, given):
    options = dict(num_layers=num_layers, bidirectional=bidirectional, bias=bias, batch_first=batch_first)
    theirs, ours = pair(kind, **options)
    x, input = sequences(theirs, form)
    hx = state(theirs, form) if given else None
    want, got = results(theirs, input, hx), results(ours, input, hx)
    close(got, want)
    leaves = [x] if hx is None else [x, *tensors(hx)]
    close(gradients(got, [*leaves, *ours.parameters()]), gradients(want, [*leaves, *theirs.parameters()]))


def test_float32(kind):
    theirs, ours = pair(kind, num_layers=2, bidirectional=True, dtype=torch.float32)
    x, _ = sequences(theirs, dtype=torch.float32)
    hx = state(theirs, dtype=torch.float32)
    close(results(ours, x, hx), results(theirs, x, hx), 1e-6)


@pytest.mark.parametrize("form", ["sorted", "unsorted"])
def test_a_packed_result_is_torchs(kind, form):
    theirs, ours = pair(kind, bidirectional=True)
    _, input = sequences(theirs, form)
    got, want = ours(input)[0], theirs(input)[0]
    assert isinstance(got, PackedSequence)
    for a, b in zip(got[1:], want[1:], strict=True):
        assert (a is b is None) or torch.equal(a, b)


def test_results_nest_and_lie_in_memory_as_torchs(kind):
    theirs, ours = pair(kind, num_layers=2)
    x, _ = sequences(theirs)
    (got, last), (want, want_last) = ours(x), theirs(x)
    assert got.is_contiguous() and want.is_contiguous() and got.view(-1, got.shape[2]).shape == (T * B, got.shape[2])
    assert type(last) is type(want_last) and all(leaf.is_contiguous() for leaf in tensors(last))


def test_an_lstms_state_may_be_a_list():
    theirs, ours = pair("lstm")
    x, _ = sequences(theirs)
    got, want = ours(x, list(state(theirs)))[1], theirs(x, list(state(theirs)))[1]
    assert type(got) is type(want) is tuple
    close(got, want)


def test_inputs_may_be_views(kind):
    theirs, ours = pair(kind, batch_first=True)
    x = torch.randn(T, B, 2 * F, dtype=torch.float64).transpose(0, 1)[:, :, ::2]
    close(results(ours, x), results(theirs, x))
    row = x[:1].expand(B, T, F)
    close(results(ours, row), results(theirs, row))


@pytest.mark.filterwarnings("ignore:dropout option adds dropout after all but last")
@covering(kind=KINDS, rate=[0.0, 0.5, 1.0], num_layers=[3, 2, 1], bidirectional=TF, batch_first=TF, form=FORMS)
def test_dropout_draws_torchs_masks(kind, rate, num_layers, bidirectional, batch_first, form):
    options = dict(num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first)
    theirs, ours = pair(kind, dropout=rate, **options)
    x, input = sequences(theirs, form)
    torch.manual_seed(3)
    want, want_next = results(theirs, input), torch.rand(1)
    torch.manual_seed(3)
    got, got_next = results(ours, input), torch.rand(1)
    close(got, want)
    assert torch.equal(got_next, want_next)
    close(gradients(got, [x, *ours.parameters()]), gradients(want, [x, *theirs.parameters()]))


def test_no_dropout_while_evaluating(kind):
    _, plain = pair(kind, num_layers=2)
    _, ours = pair(kind, num_layers=2, dropout=0.5)
    x, _ = sequences(ours)
    assert all(map(torch.equal, results(ours.eval(), x), results(plain, x)))
    assert not torch.equal(results(ours.train(), x)[0], results(plain, x)[0])


def test_the_same_seed_draws_the_same_weights(kind):
    for options in ({}, {"num_layers": 2, "bidirectional": True, "bias": False, "dtype": torch.float32}):
        theirs, _ = pair(kind, **options)
        name, own = KINDS[kind]
        torch.manual_seed(0)
        ours = getattr(recurra.nn, name)(F, H, **{"dtype": torch.float64, **own, **options})
        assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
        assert all(map(torch.equal, ours.parameters(), theirs.parameters()))
        for layer in (ours, theirs):
            torch.manual_seed(4)
            layer.reset_parameters()
        assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


def test_it_reads_as_torchs(kind):
    options = dict(num_layers=2, bidirectional=True, bias=False, batch_first=True, dropout=0.5)
    theirs, ours = pair(kind, **options)
    assert repr(ours) == repr(theirs) and isinstance(ours, type(theirs))
    assert [[w.shape for w in group] for group in ours.all_weights] == [
        [w.shape for w in group] for group in theirs.all_weights
    ]
    ours(sequences(ours)[0])
    assert all(ours.all_weights[0][k] is getattr(ours, name) for k, name in enumerate(("weight_ih_l0", "weight_hh_l0")))
    ours.flatten_parameters()
    assert list(ours.modules()) == [ours] and len(list(ours.parameters())) == len(ours.state_dict())


def test_weights_go_both_ways(kind):
    theirs, ours = pair(kind, num_layers=2)
    x, _ = sequences(ours)
    ours(x)
    ours.reset_parameters()
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    theirs.load_state_dict(ours.state_dict())
    close(results(ours, x), results(theirs, x))


@needs_pool
@covering(kind=KINDS, num_layers=[1, 2], form=["batch", "unbatched", "unsorted"], given=TF, training=TF)
def test_directions_side_by_side_give_the_bits_of_one_after_the_other(kind, num_layers, form, given, training):
    _, ours = pair(kind, num_layers=num_layers, bidirectional=True, dtype=torch.float32)
    x, input = sequences(ours, form, torch.float32)
    hx = state(ours, form, torch.float32) if given else None

    def call():
        with torch.set_grad_enabled(training):
            found = results(ours, input, hx)
        return found, gradients(found, [x, *ours.parameters()]) if training else ()

    abreast, apart, launches = both_ways(call)
    assert launches == num_layers * (1 + training)
    assert_same_bits(abreast, apart)
