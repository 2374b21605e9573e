import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.cells import GRU, LSTM, MLSTM
from recurra.layers import Bidirectional, BidirectionalState, Recurrent, Stack
from recurra.layers.dropout import RecurrentDropout
from recurra.recurrence.cpu import execute
from recurra.recurrence.state import tensors
from tests.layers.torch_cells import LAYERS, cell_of, close
from tests.recurrence.abreast import assert_same_bits, both_ways, gradients_of, needs_pool

B, T, F, H = 4, 6, 3, 5
LENGTHS = torch.tensor([2, 6, 1, 4])


@pytest.fixture(params=LAYERS, ids=lambda kind: kind.__name__)
def theirs(request):
    torch.manual_seed(0)
    return request.param(F, H, batch_first=True, bidirectional=True, dtype=torch.float64)


@pytest.fixture
def x():
    return torch.randn(B, T, F, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)


def layer_of(theirs):
    return Bidirectional(Recurrent(cell_of(theirs)), Recurrent(cell_of(theirs, "l0_reverse")))


def directions_last(state):
    """Both directions' final states as torch numbers them: (directions, batch, H)."""
    return [torch.stack(pair) for pair in zip(tensors(state.forward), tensors(state.backward), strict=True)]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_outputs_both_final_states_and_gradients_equal_torchs_layers(theirs, x, lengths):
    layer = layer_of(theirs)
    outputs, state = layer(x, lengths=lengths)
    packed = x if lengths is None else pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    want, want_last = theirs(packed)
    want = want if lengths is None else pad_packed_sequence(want, batch_first=True)[0]
    close(outputs, want)
    close(directions_last(state), list(tensors(want_last)))
    weight = torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64).view_as(outputs)
    grads, want_grads = (
        torch.autograd.grad((y * weight).sum(), [x, *module.parameters()])
        for y, module in ((outputs, layer), (want, theirs))
    )
    close(grads, want_grads)


def test_reset_runs_segments_separately_in_both_directions(theirs, x):
    layer = layer_of(theirs)
    reset = torch.zeros(B, T, dtype=torch.bool)
    reset[0, 1] = reset[1, 0] = reset[1, 2] = reset[1, 5] = reset[3, 3] = True
    reset[2, 1:] = True  # past the row's end
    outputs, state = layer(x, lengths=LENGTHS, reset=reset)
    segments = {0: [(0, 1), (1, 2)], 1: [(0, 2), (2, 5), (5, 6)], 2: [(0, 1)], 3: [(0, 3), (3, 4)]}
    ends = directions_last(state)
    for row, bounds in segments.items():
        alone = [theirs(x[row : row + 1, begin:end]) for begin, end in bounds]
        close(outputs[row : row + 1, : LENGTHS[row]], torch.cat([y for y, _ in alone], dim=1))
        for got, first, last in zip(ends, tensors(alone[0][1]), tensors(alone[-1][1]), strict=True):
            close(got[0, row], last[0, 0])
            close(got[1, row], first[1, 0])
    (grad,) = torch.autograd.grad(outputs[1, 2:5].sum(), x)
    assert grad[1, 2:5].all() and not grad[1, :2].any() and not grad[1, 5:].any()


def test_directions_may_differ_in_kind_and_size(x):
    layer = Bidirectional(
        Recurrent(nn.GRUCell(F, 2, dtype=torch.float64)), Recurrent(nn.LSTMCell(F, 7, dtype=torch.float64))
    )
    outputs, state = layer(x)
    assert outputs.shape == (B, T, 9) and isinstance(state, BidirectionalState)
    close(outputs[:, -1, :2], state.forward)
    close(outputs[:, 0, 2:], state.backward[0])


@pytest.mark.parametrize("wrap", [lambda layer: layer, lambda layer: Stack(Recurrent(nn.GRUCell(F, F)), layer)])
def test_continuing_or_stepping_is_an_error_that_says_why_and_what_instead(wrap):
    layer = wrap(Bidirectional(Recurrent(nn.GRUCell(F, H)), Recurrent(nn.GRUCell(F, H))))
    x = torch.zeros(B, T, F)
    _, state = layer(x)
    for ask in (lambda: layer(x, state), lambda: layer.step(x[:, 0], state), lambda: layer.initial_state(B)):
        with pytest.raises(ValueError, match="needs the future: .* use a unidirectional layer, or pass whole segments"):
            ask()


CELLS = {
    "lstm": lambda: (LSTM(F, 17), LSTM(F, 17)),
    "gru": lambda: (nn.GRUCell(F, 17), nn.GRUCell(F, 17)),
    "two stages": lambda: (GRU(F, 20), GRU(F, 20)),
    "sizes of their own": lambda: (LSTM(F, 17), LSTM(F, 21)),
    "kinds of their own": lambda: (nn.LSTMCell(F, 17), nn.GRUCell(F, 19)),
}
RESETS = torch.rand(B, T, generator=torch.Generator().manual_seed(2)) < 0.3


@needs_pool
@pytest.mark.parametrize("cells", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("reset", [None, RESETS], ids=["whole", "reset"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_directions_side_by_side_give_the_bits_of_one_after_the_other(monkeypatch, cells, lengths, reset):
    monkeypatch.setattr("recurra.recurrence.stream.is_little", lambda *_: False)
    torch.manual_seed(0)
    layer = Bidirectional(*map(Recurrent, cells()))
    x = torch.randn(B, T, F, requires_grad=True)

    def train():
        found = layer(x, lengths=lengths, reset=reset)
        return found, gradients_of(found, [x, *layer.parameters()])

    abreast, apart, launches = both_ways(train)
    assert launches == 2  # forward and backward
    assert_same_bits(abreast, apart)
    with torch.no_grad():
        abreast, apart, launches = both_ways(lambda: layer(x, lengths=lengths, reset=reset))
    assert launches == 1
    assert_same_bits(abreast, apart)


@needs_pool
def test_under_autocast_too(monkeypatch):
    monkeypatch.setattr(execute, "ROUNDED", 0)
    torch.manual_seed(0)
    layer = Bidirectional(Recurrent(LSTM(F, 17)), Recurrent(LSTM(F, 17)))
    x = torch.randn(B, T, F, requires_grad=True)

    def train():
        with torch.autocast("cpu", torch.bfloat16):
            found = layer(x)
        return found, gradients_of(found, [x, *layer.parameters()])

    abreast, apart, launches = both_ways(train)
    assert launches == 2
    assert_same_bits(abreast, apart)


def hooked(layer):
    layer.register_forward_hook(lambda module, given, result: (2 * result[0], result[1]))
    return layer


def replaced(layer):
    usual = layer.forward
    layer.forward = lambda *given, **named: (2 * usual(*given, **named)[0], usual(*given, **named)[1])
    return layer


@needs_pool
@pytest.mark.parametrize("changed", [hooked, replaced])
def test_what_is_hooked_into_a_direction_is_called(changed):
    """That direction is called as ever, and the other has nobody to run beside."""
    torch.manual_seed(0)
    layer = Bidirectional(Recurrent(LSTM(F, 17)), Recurrent(LSTM(F, 17)))
    x = torch.randn(B, T, F)
    want = torch.cat([2 * layer.forwards(x)[0], layer.backwards(x.flip(1))[0].flip(1)], dim=2)
    changed(layer.forwards)
    (outputs, _), apart, launches = both_ways(lambda: layer(x))
    assert launches == 0 and torch.equal(outputs, want) and torch.equal(apart[0], want)


@needs_pool
@pytest.mark.parametrize(
    "other",
    [
        lambda: Recurrent(LSTM(F, 17), remember="segments"),
        lambda: Recurrent(MLSTM(F, 3)),
        lambda: Stack(Recurrent(LSTM(F, 17))),
    ],
    ids=["segments", "reference", "stack"],
)
def test_a_direction_that_goes_another_way(other):
    torch.manual_seed(0)
    layer = Bidirectional(Recurrent(LSTM(F, 17)), other())
    x = torch.randn(B, T, F, requires_grad=True)

    def train():
        found = layer(x, lengths=LENGTHS)
        return found, gradients_of(found, [x, *layer.parameters()])

    abreast, apart, launches = both_ways(train)
    assert launches == 0
    assert_same_bits(abreast, apart)


@needs_pool
def test_masks_are_drawn_in_the_order_of_the_directions():
    """The first direction's steps draw too, so it has to be done before the second draws its masks."""

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.RNNCell(F, 4)

        def initial_state(self, batch_size):
            return torch.zeros(batch_size, 4)

        def forward(self, x, h):
            return self.cell(x, h) + torch.rand(1)

    layer = Bidirectional(Recurrent(Noisy()), Recurrent(RecurrentDropout(nn.RNNCell(F, 4), 0.5)))
    x = torch.randn(B, T, F)

    def drawn():
        torch.manual_seed(3)
        return layer(x)[0]

    torch.manual_seed(3)
    want = torch.cat([layer.forwards(x)[0], layer.backwards(x.flip(1))[0].flip(1)], dim=2)
    abreast, apart, _ = both_ways(drawn)
    assert torch.equal(abreast, want) and torch.equal(apart, want)
