import pytest
import torch
from torch import nn

from recurra.cells import GRU, LSTM
from recurra.layers import Recurrent, Stack
from recurra.models.language_model import LanguageModel
from recurra.recurrence.state import tensors

V, E, H = 11, 5, 6


def make(*, tied=False, dropout=None, embedding_size=E):
    torch.manual_seed(0)
    stack = Stack(Recurrent(LSTM(embedding_size, 7)), Recurrent(GRU(7, H)))
    return LanguageModel(V, embedding_size, stack, H, tied=tied, dropout=dropout)


@pytest.fixture
def tokens():
    return torch.randint(V, (3, 9), generator=torch.manual_seed(1))


@pytest.mark.parametrize("split", [1, 4, 8])
def test_streaming_equals_full(tokens, split):
    model = make()
    full, end = model(tokens)
    first, state = model(tokens[:, :split])
    rest, state = model(tokens[:, split:], state)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), full)
    for found, wanted in zip(tensors(state), tensors(end), strict=True):
        torch.testing.assert_close(found, wanted)


def test_steps_equal_full(tokens):
    model = make()
    full, _ = model(tokens)
    state = model.initial_state(3)
    for place in range(tokens.shape[1]):
        logits, state = model.step(tokens[:, place], state)
        torch.testing.assert_close(logits, full[:, place])


def test_the_network_is_embedding_layers_and_softmax_layer(tokens):
    model = make()
    embedded = model.embedding.weight[tokens]
    outputs, _ = model.layers(embedded)
    torch.testing.assert_close(model(tokens)[0], outputs @ model.output.weight.T + model.output.bias)


def test_tied_weights_are_one_matrix():
    model = make(tied=True, embedding_size=H)
    assert model.output.weight is model.embedding.weight
    assert (
        sum(p.numel() for p in model.parameters())
        == sum(p.numel() for p in make(embedding_size=H).parameters()) - V * H
    )
    with pytest.raises(ValueError, match="tied weights need equal sizes, got embedding 5 and output 6"):
        make(tied=True)


def test_dropout_meets_the_embedding_and_the_last_output(tokens):
    class Double(nn.Module):
        def forward(self, x):
            return 2 * x

    plain, doubled = make(), make(dropout=Double())
    outputs, _ = plain.layers(2 * plain.embedding(tokens))
    torch.testing.assert_close(doubled.hidden(tokens)[0], 2 * outputs)


def test_an_adaptive_softmax_ends_the_network(tokens):
    torch.manual_seed(0)
    model = LanguageModel(V, E, Stack(Recurrent(LSTM(E, H))), H, cutoffs=[4])
    outputs, _ = model.layers(model.embedding(tokens))
    log_p = model(tokens)[0]
    torch.testing.assert_close(log_p, model.output.clusters.log_prob(outputs.flatten(0, 1)).unflatten(0, tokens.shape))
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(tokens.shape))
    with pytest.raises(ValueError, match="tied weights need a plain softmax"):
        LanguageModel(V, H, Stack(Recurrent(LSTM(H, H))), H, tied=True, cutoffs=[4])
