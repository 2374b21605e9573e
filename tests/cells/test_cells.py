"""What holds of every cell."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.func import functional_call

import recurra.cells
from recurra.cells import CELLS, LSTM, Elman, Jordan, LSTMState
from recurra.layers.recurrent import Recurrent
from tests.cells.helpers import randomised

CLOSE = {torch.float32: 1e-6, torch.float64: 1e-14}
FILES = sorted(Path(recurra.cells.__file__).parent.glob("*.py"))

every_cell = pytest.mark.parametrize("build", CELLS.values(), ids=CELLS.keys())
both_types = pytest.mark.parametrize("dtype", CLOSE, ids=str)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_short(path):
    assert len(path.read_text().splitlines()) < 120


@every_cell
@both_types
def test_a_sequence_in_pieces_equals_the_whole(build, dtype):
    layer, x = Recurrent(build(3, 5).to(dtype)), torch.randn(2, 7, 3, dtype=dtype)
    whole, last = layer(x)
    assert whole.dtype == dtype and whole.shape == (2, 7, layer.cell.output_size)
    first, state = layer(x[:, :3])
    second, state = layer(x[:, 3:6], state)
    third, state = layer.step(x[:, 6], state)
    # torch's products of all steps at once round otherwise than those of a few
    largest = max(1, whole.abs().max().item())
    close = partial(torch.testing.assert_close, rtol=0, atol=16 * torch.finfo(dtype).eps * largest)
    close(torch.cat([first, second, third[:, None]], dim=1), whole)
    for pair in zip(state, last, strict=True):
        close(*pair)


@every_cell
@both_types
def test_a_ragged_row_equals_the_row_alone(build, dtype):
    layer, x = Recurrent(build(3, 5).to(dtype)), torch.randn(3, 7, 3, dtype=dtype)
    lengths = [4, 7, 1]
    outputs, last = layer(x, lengths=torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, state = layer(x[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0], rtol=0, atol=CLOSE[dtype])
        assert not outputs[row, length:].any()
        for ours, theirs in zip(last, state, strict=True):
            torch.testing.assert_close(ours[row], theirs[0], rtol=0, atol=CLOSE[dtype])


@every_cell
@both_types
def test_a_reset_row_starts_afresh(build, dtype):
    # so many units that, rectified or shut, they have not all forgotten what came before the reset
    layer, x = Recurrent(randomised(build(3, 20)).to(dtype)), torch.randn(2, 7, 3, dtype=dtype)
    reset = torch.zeros(2, 7, dtype=torch.bool)
    reset[0, 4] = True
    outputs, _ = layer(x, reset=reset)
    without, afresh = layer(x)[0], layer(x[:, 4:])[0]
    assert torch.equal(outputs[1], without[1]) and torch.equal(outputs[0, :4], without[0, :4])
    assert torch.equal(outputs[0, 4:], afresh[0]) and not torch.equal(outputs[0, 4:], without[0, 4:])


@every_cell
def test_gradients_equal_finite_differences(build):
    layer = Recurrent(randomised(build(2, 3)))
    names, weights = zip(*layer.named_parameters(), strict=True)
    state = layer.initial_state(2)

    def run(x, *leaves):
        record = type(state)(*leaves[: len(state)])
        outputs, last = functional_call(layer, dict(zip(names, leaves[len(state) :], strict=True)), (x, record))
        return outputs, *last

    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    _, reached = layer(torch.randn(2, 3, 2, dtype=torch.float64))  # a sum of weights among it may never be near zero
    start = [leaf.detach().requires_grad_() for leaf in reached]
    # on some processors torch's products round otherwise where a tensor lies otherwise
    assert torch.autograd.gradcheck(run, (x, *start, *weights), nondet_tol=1e-12)


@every_cell
def test_initialisation_can_be_had_again(build):
    cell = build(2, 3)
    torch.manual_seed(1)
    cell.reset_parameters()
    first = {name: weight.clone() for name, weight in cell.state_dict().items()}
    randomised(cell)
    torch.manual_seed(1)
    cell.to(torch.float32).reset_parameters()
    assert all(torch.equal(weight, first[name]) for name, weight in cell.state_dict().items())


@every_cell
def test_bad_sizes_and_shapes_are_refused(build):
    with pytest.raises(ValueError, match="input_size must be at least 1, got 0"):
        build(0, 3)
    with pytest.raises(ValueError, match="hidden_size must be at least 1, got -1"):
        build(2, -1)
    cell = build(2, 3)
    with pytest.raises(ValueError, match=r"x must be \(batch, 2\), got \(4, 3\)"):
        cell(torch.zeros(4, 3), cell.initial_state(4))
    with pytest.raises(ValueError, match=r"a state beside this x must be \(4, (\d.*)\), got \(1, \1\)"):
        cell(torch.zeros(4, 2), cell.initial_state(1))


def test_no_part_of_a_state_is_broadcast():
    with pytest.raises(ValueError, match=r"must be \(4, 3\), got \(4, 1\)"):
        LSTM(2, 3)(torch.zeros(4, 2), LSTMState(torch.zeros(4, 3), torch.zeros(4, 1)))


def test_sizes_that_a_layer_above_reads():
    for cell, want in ((Elman(2, 3), (2, 3, 3)), (Jordan(2, 3, output_size=4), (2, 3, 4))):
        assert (cell.input_size, cell.hidden_size, cell.output_size) == want
