"""A sliding window beside a loop over its places."""

import pytest
import torch

from recurra.baselines.window_layer import WindowLayer


def test_each_step_sees_its_neighbours_and_nothing_beyond_the_row():
    torch.manual_seed(0)
    layer, x, lengths = WindowLayer(3, 4, 5).double(), torch.randn(2, 6, 3).double(), torch.tensor([6, 3])
    found, state = layer(x, lengths=lengths)
    W, b = layer.hidden_layer.weight, layer.hidden_layer.bias
    assert state is None
    for row, length in enumerate(lengths.tolist()):
        padded = torch.cat([torch.zeros(2, 3), x[row, :length], torch.zeros(2, 3)])
        wanted = [torch.tanh(torch.einsum("hiw,wi->h", W, padded[t : t + 5]) + b) for t in range(length)]
        torch.testing.assert_close(found[row, :length], torch.stack(wanted))
        assert not found[row, length:].any()


@pytest.mark.parametrize("window", [0, -1, 4])
def test_windows_have_a_middle(window):
    with pytest.raises(ValueError, match=f"window must be odd and at least 1, got {window}"):
        WindowLayer(3, 4, window)


def test_a_window_may_end_at_its_step():
    torch.manual_seed(0)
    layer, x = WindowLayer(3, 4, 4, ahead=0), torch.randn(2, 9, 3)
    before, _ = layer(x)
    for step in range(9):
        padded = torch.cat([torch.zeros(2, 3, 3), x], 1)[:, step : step + 4]
        wanted = torch.tanh(layer.hidden_layer(padded.transpose(1, 2)))[:, :, 0]
        torch.testing.assert_close(before[:, step], wanted)
    changed = x.clone()
    changed[:, 5:] = 7.0
    torch.testing.assert_close(layer(changed)[0][:, :5], before[:, :5])


@pytest.mark.parametrize("ahead", [-1, 4])
def test_no_more_of_a_window_is_ahead_than_it_has(ahead):
    with pytest.raises(ValueError, match=f"a window of 4 steps cannot have {ahead} of them ahead"):
        WindowLayer(3, 4, 4, ahead=ahead)
