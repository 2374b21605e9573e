"""Masks are read off cells that let them through: what is written, kept or multiplied shows in the outputs."""

from itertools import product
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from recurra.layers import (
    Bidirectional,
    Dropout,
    Recurrent,
    RecurrentDropout,
    Stack,
    VariationalDropout,
    WeightDrop,
    Zoneout,
)
from recurra.layers.dropout import MaskedInput
from tests.layers.torch_cells import close

B, T, H = 40, 7, 50


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Pair(NamedTuple):
    h: Tensor
    s: Tensor


class Echo(nn.Module):
    """Always in the state of ones, h and s one tensor; outputs what it read of both."""

    def initial_state(self, batch_size):
        ones = torch.ones(batch_size, H)
        return Pair(ones, ones)

    def forward(self, x, state):
        return torch.cat(state, dim=1), self.initial_state(len(x))


class Count(nn.Module):
    """Each unit counts steps; a unit that keeps its value misses one. The output is h."""

    def initial_state(self, batch_size):
        return Pair(torch.zeros(batch_size, H), torch.zeros(batch_size, H))

    def forward(self, x, state):
        h = state.h + 1
        return h, Pair(h, state.s + 1)


class Product(nn.Module):
    """Outputs its hidden-to-hidden weights times an h that stays as it began."""

    def __init__(self):
        super().__init__()
        self.W_h = nn.Parameter(torch.full((H, H), 3.0))
        self.W_x = nn.Parameter(torch.ones(H, 1))

    def initial_state(self, batch_size):
        return torch.eye(H)[:batch_size]

    def forward(self, x, state):
        return state @ self.W_h.T + x @ self.W_x.T, state


class Decay(nn.Module):
    """A linear cell, h = a h' + b s' + x and s = c s' + x: expectations over independent masks pass through it."""

    def initial_state(self, batch_size):
        return Pair(torch.full((batch_size, 1), 0.3, dtype=torch.float64), torch.zeros(batch_size, 1).double())

    def forward(self, x, state):
        h = 0.5 * state.h + 0.25 * state.s + x
        return h, Pair(h, -0.75 * state.s + x)


def near(masks, rate):
    """The share of zeros lies within five standard deviations of the binomial distribution's mean."""
    return abs(masks.eq(0).double().mean() - rate) < 5 * (rate * (1 - rate) / masks.numel()) ** 0.5


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75])
def test_plain_dropout_zeroes_a_share_and_scales_the_rest(rate, kind):
    x = torch.ones(200, 500, dtype=kind, requires_grad=True)
    layer = Dropout(rate)
    dropped = layer(x)
    assert dropped.dtype == kind and set(dropped.unique().tolist()) == {
        0.0,
        torch.tensor(1 / (1 - rate), dtype=kind).item(),
    }
    # five standard deviations of the share that 100,000 draws give
    assert (dropped == 0).double().mean().item() == pytest.approx(rate, abs=5 * (rate * (1 - rate) / 1e5) ** 0.5)
    (gradient,) = torch.autograd.grad(dropped.sum(), x)
    assert torch.equal(gradient, dropped)
    assert not torch.equal(layer(x), dropped)
    assert layer.eval()(x) is x and Dropout(0.0)(x) is x


def test_variational_dropout_is_the_same_at_every_step_and_another_for_each_row_and_call():
    ones, drop = torch.ones(B, T, H), VariationalDropout(0.3)
    masks = drop(ones)
    close(masks.unique(), torch.tensor([0, 1 / 0.7]))
    assert masks.eq(masks[:, :1]).all() and near(masks[:, 0], 0.3)
    assert len(masks[:, 0].unique(dim=0)) == B and not torch.equal(masks, drop(ones))
    assert drop.eval()(ones).eq(1).all()


def test_recurrent_dropout_masks_h_alone_once_a_sequence():
    layer = Recurrent(RecurrentDropout(Echo(), 0.3))
    masks, rest = layer(torch.zeros(B, T, 1))[0].split(H, dim=2)
    close(masks.unique(), torch.tensor([0, 1 / 0.7]))
    assert masks.eq(masks[:, :1]).all() and near(masks[:, 0], 0.3) and rest.eq(1).all()
    assert len(masks[:, 0].unique(dim=0)) == B
    assert layer.eval()(torch.zeros(B, T, 1))[0].eq(1).all()


def test_recurrent_dropout_of_an_lstm_equals_the_papers_equations():
    torch.manual_seed(0)
    cell = nn.LSTMCell(3, 4, dtype=torch.float64)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    torch.manual_seed(1)
    outputs, _ = Recurrent(RecurrentDropout(cell, 0.5))(x)
    torch.manual_seed(1)
    mask = nn.functional.dropout(torch.ones(2, 4, dtype=torch.float64), 0.5)
    h = c = torch.zeros(2, 4, dtype=torch.float64)
    for t in range(5):
        drive = x[:, t] @ cell.weight_ih.T + cell.bias_ih + (h * mask) @ cell.weight_hh.T + cell.bias_hh
        i, f, g, o = drive.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        close(outputs[:, t], h)


def test_zoneout_keeps_each_unit_with_its_rate_anew_at_every_step():
    layer = Recurrent(Zoneout(Count(), {"h": 0.2, "s": 0.6}))
    trajectory = layer.trajectory(torch.zeros(B, T, 1))
    assert torch.equal(trajectory.outputs, trajectory.states.h)  # the output is h after zoneout
    for counts, rate in ((trajectory.states.h, 0.2), (trajectory.states.s, 0.6)):
        advanced = counts.diff(dim=1, prepend=torch.zeros(B, 1, H))
        assert set(advanced.unique().tolist()) == {0.0, 1.0} and near(advanced, rate)
        assert len(advanced.transpose(0, 1).unique(dim=0)) == T and len(advanced.unique(dim=0)) == B
    keeps_h, keeps_s = (counts.diff(dim=1).eq(0).double() for counts in trajectory.states)
    assert abs((keeps_h * keeps_s).mean() - 0.12) < 5 * (0.12 * 0.88 / keeps_h.numel()) ** 0.5  # h and s independently


def test_zoneout_evaluates_to_the_exact_expectation_over_all_masks_of_a_linear_cell():
    rates, x = {"h": 0.3, "s": 0.6}, torch.tensor([0.7, -1.1, 0.4], dtype=torch.float64).view(1, 3, 1)
    cell = Zoneout(Decay(), rates)
    expectation = torch.zeros(3, dtype=torch.float64)
    for masks in product([False, True], repeat=6):
        state, weight, outputs = cell.initial_state(1), 1.0, []
        for t, (keep_h, keep_s) in enumerate(zip(masks[:3], masks[3:], strict=True)):
            keep = Pair(torch.tensor([[keep_h]]), torch.tensor([[keep_s]]))
            output, state = cell(MaskedInput(x[:, t], keep), state)
            outputs.append(output.squeeze())
            weight *= (0.3 if keep_h else 0.7) * (0.6 if keep_s else 0.4)
        expectation += weight * torch.stack(outputs)
    close(Recurrent(cell.eval())(x)[0].flatten(), expectation)


def test_zoneout_agrees_with_its_expectation_in_the_mean_over_many_rows():
    layer, rows = Recurrent(Zoneout(Decay(), 0.4)), 20_000
    x = torch.tensor([0.7, -1.1, 0.4], dtype=torch.float64).view(1, 3, 1)
    torch.manual_seed(0)
    drawn = layer(x.expand(rows, 3, 1))[0]
    error = (drawn.mean(0) - layer.eval()(x)[0][0]).abs()
    assert (error < 5 * drawn.std(0) / rows**0.5).all()


def test_weight_drop_drops_the_same_single_weights_at_every_step_and_nothing_else():
    layer = WeightDrop(Recurrent(Product()), 0.3)
    masks = layer(torch.zeros(H, T, 1))[0]
    close(masks.unique(), torch.tensor([0, 3 / 0.7]))
    assert masks.eq(masks[:, :1]).all() and near(masks[:, 0], 0.3)
    assert len(masks[:, 0].unique(dim=0)) == H and not torch.equal(masks, layer(torch.zeros(H, T, 1))[0])
    assert layer.eval()(torch.zeros(H, T, 1))[0].eq(3).all()


def test_weight_drop_keeps_names_and_weights_and_its_gradient_is_the_masks():
    cell = Product()
    layer = WeightDrop(Recurrent(cell), 0.5)
    assert set(layer.state_dict()) == {"layer.cell.W_h", "layer.cell.W_x"}
    outputs, _ = layer(torch.ones(H, T, 1))
    assert cell.W_h.eq(3).all()
    outputs.sum().backward()
    kept = outputs[:, 0].sub(1).ne(0)  # row of h, unit: transposed
    close(cell.W_h.grad, torch.where(kept.T, 2.0 * T, 0.0))
    close(cell.W_x.grad, torch.full((H, 1), float(T * H)))


def test_weight_drop_reaches_every_layer_and_direction_by_the_end_of_a_name():
    cells = [nn.LSTMCell(2, 2), nn.LSTMCell(2, 2), nn.GRUCell(4, 3)]
    first = Bidirectional(Recurrent(cells[0]), Recurrent(cells[1]))
    layer = WeightDrop(Stack(first, Recurrent(cells[2])), 0.5, names=["weight_hh"])
    assert layer.names == [
        "layers.0.forwards.cell.weight_hh",
        "layers.0.backwards.cell.weight_hh",
        "layers.1.cell.weight_hh",
    ]
    layer(torch.randn(3, 4, 2))[0].sum().backward()
    for cell in cells:
        blocks = cell.weight_hh.grad.eq(0).double().mean()
        assert 0 < blocks < 1 and not cell.weight_ih.grad.eq(0).any()


def test_weight_drop_hands_state_lengths_and_resets_on():
    inner = Recurrent(nn.GRUCell(2, 3))
    x, lengths, reset = torch.randn(2, 4, 2), torch.tensor([4, 3]), torch.tensor([[0, 0, 1, 0], [0, 1, 0, 0]]).bool()
    state = torch.randn(2, 3)
    want = inner(x, state, lengths, reset)
    for layer in (WeightDrop(inner, 0.0, names=["weight_hh"]), WeightDrop(inner, 0.5, names=["weight_hh"]).eval()):
        assert layer.initial_state(2).eq(0).all()
        torch.testing.assert_close(layer(x, state, lengths, reset), want)


def test_weight_drop_streams_as_its_layer_does():
    layer = WeightDrop(Recurrent(nn.GRUCell(2, 3)), 0.5, names=["weight_hh"]).eval()
    x, state = torch.randn(2, 4, 2), layer.initial_state(2)
    for t in range(4):
        output, state = layer.step(x[:, t], state)
        torch.testing.assert_close(output, layer(x)[0][:, t])


@pytest.mark.parametrize(
    "layer",
    [
        Recurrent(RecurrentDropout(nn.LSTMCell(2, 3), 0.5)),
        Recurrent(Zoneout(nn.LSTMCell(2, 3), 0.5)),
        WeightDrop(Recurrent(nn.LSTMCell(2, 3)), 0.5, names=["weight_hh"]),
    ],
    ids=["recurrent", "zoneout", "weight"],
)
def test_training_repeats_with_the_seed_and_evaluation_draws_nothing(layer):
    x = torch.randn(3, 4, 2)

    def seeded(seed):
        torch.manual_seed(seed)
        return layer(x)[0]

    assert torch.equal(seeded(1), seeded(1)) and not torch.equal(seeded(1), seeded(2))
    layer.eval()
    before = torch.get_rng_state()
    assert torch.equal(layer(x)[0], layer(x)[0]) and torch.equal(torch.get_rng_state(), before)


def test_nothing_is_drawn_inside_a_step():
    class Watch(nn.LSTMCell):
        def forward(self, x, state):
            states.append(torch.get_rng_state())
            return super().forward(x, state)

    states = []
    layer = Recurrent(Zoneout(RecurrentDropout(Watch(2, 3), 0.5), 0.5))
    before = torch.get_rng_state()
    layer(torch.randn(2, 4, 2))
    assert states and all(torch.equal(state, states[0]) for state in states)
    assert not torch.equal(states[0], before)
    assert torch.equal(torch.get_rng_state(), states[0])


def test_wrappers_compose_and_carry_gradients():
    torch.manual_seed(0)
    cell = nn.LSTMCell(2, 3, dtype=torch.float64)
    layer = WeightDrop(Recurrent(Zoneout(RecurrentDropout(cell, 0.4), 0.3)), 0.2, names=["weight_hh"])
    x = torch.randn(2, 3, 2, dtype=torch.float64)
    lengths, reset = torch.tensor([3, 2]), torch.tensor([[0, 0, 1], [0, 1, 0]]).bool()

    def loss(x, *weights):
        torch.manual_seed(1)
        return layer(x, lengths=lengths, reset=reset)[0]

    assert torch.autograd.gradcheck(loss, (x.requires_grad_(), *layer.parameters()))
    layer.eval()
    want = Recurrent(Zoneout(cell, 0.3).eval())(x)[0]
    assert torch.equal(layer(x)[0], want)


def test_wrong_rates_and_names_are_errors():
    for build in (VariationalDropout, lambda rate: RecurrentDropout(Echo(), rate), lambda rate: Zoneout(Echo(), rate)):
        for rate in (-0.1, 1.0):
            with pytest.raises(ValueError, match=rf"a probability in \[0, 1\), got {rate}"):
                build(rate)
    with pytest.raises(
        ValueError, match=r"rates are given for \['c', 'h'\], but the fields of the state are \['h', 's'\]"
    ):
        Zoneout(Echo(), {"h": 0.1, "c": 0.1})
    with pytest.raises(ValueError, match="no parameter is called 'W_hh'; the layer has cell.W_h, cell.W_x"):
        WeightDrop(Recurrent(Product()), 0.1, names=["W_hh"])
