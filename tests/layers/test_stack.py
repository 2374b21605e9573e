import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.layers import Bidirectional, Recurrent, Stack, VariationalDropout
from recurra.recurrence.state import tensors
from tests.layers.torch_cells import LAYERS, cell_of, close

B, T, F, H = 4, 6, 3, 5
LENGTHS = torch.tensor([2, 6, 1, 4])


@pytest.fixture
def x():
    return torch.randn(B, T, F, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)


def stack_of(theirs, **options):
    return Stack(*(Recurrent(cell_of(theirs, f"l{depth}")) for depth in range(theirs.num_layers)), **options)


def layers_last(state):
    """All layers' final states as torch numbers them: (layers, batch, H)."""
    return [torch.stack(leaves) for leaves in zip(*map(tensors, state), strict=True)]


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_two_layers_equal_torchs_ragged_and_from_a_given_state(kind, x):
    theirs = kind(F, H, num_layers=2, batch_first=True, dtype=torch.float64)
    stack = stack_of(theirs)
    _, state = stack(x.flip(1))
    outputs, last = stack(x, state, lengths=LENGTHS)
    start = layers_last(state) if kind is nn.LSTM else layers_last(state)[0]
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    want, want_last = theirs(packed, tuple(start) if kind is nn.LSTM else start)
    close(outputs, pad_packed_sequence(want, batch_first=True)[0])
    close(layers_last(last), list(tensors(want_last)))


def test_two_bidirectional_layers_equal_torchs(x):
    theirs = nn.LSTM(F, H, num_layers=2, batch_first=True, bidirectional=True, dtype=torch.float64)
    cells = [(cell_of(theirs, f"l{depth}"), cell_of(theirs, f"l{depth}_reverse")) for depth in range(2)]
    stack = Stack(*(Bidirectional(Recurrent(ahead), Recurrent(back)) for ahead, back in cells))
    outputs, _ = stack(x, lengths=LENGTHS)
    want, _ = theirs(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    close(outputs, pad_packed_sequence(want, batch_first=True)[0])


def test_steps_with_resets_equal_one_call(x):
    stack = stack_of(nn.GRU(F, F, num_layers=3, dtype=torch.float64), residual=True)
    reset = torch.rand(B, T, generator=torch.Generator().manual_seed(3)) < 0.3
    want, want_last = stack(x, reset=reset)
    state, fresh = stack.initial_state(B), stack.initial_state(B)
    for t in range(T):
        state = tuple(torch.where(reset[:, t, None], f, s) for f, s in zip(fresh, state, strict=True))
        output, state = stack.step(x[:, t], state)
        close(output, want[:, t])
    close(state, want_last)


def test_residual_adds_each_layers_inputs_but_nothing_past_a_rows_end(x):
    theirs = nn.GRU(F, F, num_layers=2, batch_first=True, dtype=torch.float64)
    outputs, _ = stack_of(theirs, residual=True)(x, lengths=LENGTHS)
    layers = [nn.GRU(F, F, batch_first=True, dtype=torch.float64) for _ in range(2)]
    for depth, layer in enumerate(layers):
        layer.load_state_dict({name: getattr(theirs, name[:-2] + f"l{depth}") for name in layer.state_dict()})
    for row, length in enumerate(LENGTHS):
        want = x[row : row + 1, :length]
        for layer in layers:
            want = want + layer(want)[0]
        close(outputs[row : row + 1, :length], want)
        assert not outputs[row, length:].any()


def test_residual_around_unequal_sizes_is_an_error():
    stack = Stack(Recurrent(nn.GRUCell(F, F)), Recurrent(nn.GRUCell(F, H)), residual=True)
    with pytest.raises(ValueError, match="layer 1 turns 3 features into 5: a residual connection needs equal sizes"):
        stack(torch.zeros(B, T, F))


class Identity(nn.Module):
    """A cell that passes its input on."""

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 1)

    def forward(self, x, state):
        return x, state


def test_dropout_lies_between_layers_and_not_after_the_last():
    ones = torch.ones(50, 20, 10)
    assert Stack(Recurrent(Identity()), dropout=0.5)(ones)[0].eq(1).all()
    twice, _ = Stack(*(Recurrent(Identity()) for _ in range(3)), dropout=0.5)(ones)
    assert set(twice.unique().tolist()) == {0.0, 4.0}  # two gaps: scaled by 2 twice
    dropped = twice.eq(0).double().mean()
    assert abs(dropped - 0.75) < 5 * (0.75 * 0.25 / 10_000) ** 0.5
    assert not twice.eq(twice[:, :1]).all()  # each step its own mask
    evaluated, _ = Stack(*(Recurrent(Identity()) for _ in range(3)), dropout=0.5).eval()(ones)
    assert evaluated.eq(1).all()


def test_dropout_may_be_a_module():
    layers = Recurrent(Identity()), Recurrent(Identity())
    outputs, _ = Stack(*layers, dropout=VariationalDropout(0.5))(torch.ones(8, 5, 10))
    assert outputs.eq(outputs[:, :1]).all() and outputs.eq(0).any() and outputs.eq(2).any()


def test_a_stack_needs_layers_and_as_many_states():
    with pytest.raises(ValueError, match="at least one layer"):
        Stack()
    stack = Stack(Recurrent(nn.GRUCell(F, H)), Recurrent(nn.GRUCell(H, H)))
    with pytest.raises(ValueError, match="a stack of 2 layers has as many states, got 1"):
        stack(torch.zeros(B, T, F), (torch.zeros(B, H),))
