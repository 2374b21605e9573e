"""A network that answers sequences: only what is asked, and only from what each sequence has."""

import pytest
import torch

from recurra.cells import LSTM
from recurra.layers import Recurrent, Stack
from recurra.models.sequence_predictor import SequencePredictor


def model(ends):
    torch.manual_seed(0)
    return SequencePredictor(Stack(Recurrent(LSTM(3, 5)), Recurrent(LSTM(5, 4))), 4, 2, ends=ends)


@pytest.mark.parametrize("ends", [False, True])
def test_it_is_a_linear_map_of_what_the_layers_say(ends):
    found = model(ends)
    x, lengths = torch.randn(3, 6, 3), torch.tensor([6, 2, 4])
    outputs = found(x, lengths)
    assert outputs.shape == ((3, 1, 2) if ends else (3, 6, 2))
    for row, length in enumerate(lengths.tolist()):
        h, _ = found.layers(x[row : row + 1, :length])
        wanted = found.output(h)[0]
        torch.testing.assert_close(outputs[row, :1] if ends else outputs[row, :length], wanted[-1:] if ends else wanted)


def test_a_state_goes_on():
    found = model(False)
    x = torch.randn(2, 6, 3)
    _, state = found.layers(x[:, :4])
    torch.testing.assert_close(found(x[:, 4:], state=state), found(x)[:, 4:])
    torch.testing.assert_close(found(x, state=found.initial_state(2)), found(x))


def test_the_end_alone_is_read_out():
    found = model(True)
    seen = []
    found.output.register_forward_hook(lambda module, given, outputs: seen.append(given[0].shape))
    found(torch.randn(3, 50, 3))
    assert seen == [(3, 1, 4)]
