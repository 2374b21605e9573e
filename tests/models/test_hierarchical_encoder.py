"""The layers of a hierarchical encoder beside their own, turn by turn."""

import torch

from recurra.cells import GRU
from recurra.layers import Bidirectional, Recurrent, Stack
from recurra.models.hierarchical_encoder import HierarchicalEncoder

E, H, C, SPEAKERS = 4, 5, 3, 2


def encoder():
    torch.manual_seed(0)
    words = Stack(Bidirectional(Recurrent(GRU(E, H)), Recurrent(GRU(E, H))))
    return HierarchicalEncoder(9, E, SPEAKERS, words, Stack(Recurrent(GRU(2 * H, C)))).double()


def test_every_turn_is_read_by_itself_and_turns_in_order():
    model = encoder()
    turns = [[1, 5, 6], [2, 7], [1, 8, 3, 4]]
    tokens = torch.tensor([sum(turns, []), [2, 4, 1, 6, 0, 0, 0, 0, 0]])
    values, state = model(tokens, torch.tensor([9, 4]))
    assert values.shape == (2, 9, 2 * H + C)
    outputs = [model.words(model.embedding(torch.tensor([turn])))[0][0] for turn in turns]
    torch.testing.assert_close(values[0, :, : 2 * H], torch.cat(outputs), rtol=1e-12, atol=1e-14)
    means = torch.stack([each.mean(0) for each in outputs]).unsqueeze(0)
    contexts, last = model.turns(means)
    for begin, end, turn in ((0, 3, 0), (3, 5, 1), (5, 9, 2)):
        want = contexts[0, turn].expand(end - begin, C)
        torch.testing.assert_close(values[0, begin:end, 2 * H :], want, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(state[0].h[:1], last[0].h, rtol=1e-12, atol=1e-14)


def test_what_lies_behind_an_end_changes_nothing():
    model = encoder()
    tokens, lengths = torch.tensor([[1, 5, 2, 6, 7], [2, 8, 0, 0, 0]]), torch.tensor([5, 2])
    other = tokens.clone()
    other[1, 2:] = torch.tensor([1, 3, 2])
    (values, state), (others, last) = model(tokens, lengths), model(other, lengths)
    assert torch.equal(values[0], others[0]) and torch.equal(values[1, :2], others[1, :2])
    assert torch.equal(state[0].h, last[0].h)
