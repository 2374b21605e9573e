"""Searches over a network of the package, scored again by its own pass over whole sequences."""

import pytest
import torch

from recurra.cells import GRU, LSTM
from recurra.decoding.beam import beam_search
from recurra.decoding.greedy import greedy
from recurra.layers import Recurrent, Stack
from recurra.models.language_model import LanguageModel


@pytest.fixture
def model():
    torch.manual_seed(0)
    found = LanguageModel(30, 8, Stack(Recurrent(LSTM(8, 16)), Recurrent(GRU(16, 12))), 12).eval()
    torch.nn.init.normal_(found.embedding.weight)
    torch.nn.init.normal_(found.output.weight)
    return found


@torch.no_grad()
def log_probability(model, start, tokens):
    logits, _ = model(torch.tensor([[start, *tokens[:-1]]]))
    return logits[0].double().log_softmax(1)[range(len(tokens)), tokens].sum().item()


def test_scores_are_those_of_whole_sequences(model):
    starts = torch.tensor([3, 7, 11, 5])
    found = beam_search(model.step, starts, model.initial_state(4), beam=5, n_best=5, end=0, maximum=12)
    for start, hypotheses in zip(starts.tolist(), found, strict=True):
        assert len(hypotheses) == 5 and len({tuple(each.tokens) for each in hypotheses}) == 5
        for hypothesis in hypotheses:
            expected = log_probability(model, start, hypothesis.tokens)
            assert hypothesis.log_probability == pytest.approx(expected, rel=1e-5)  # of float32, through 12 steps


def test_a_prompt_is_a_prefix(model):
    """Forced tokens lead to where reading them leads."""
    prompt, start = [4, 9, 2], torch.tensor([7])
    options = dict(end=None, maximum=10, prefixes=[prompt])
    [found] = greedy(model.step, start, model.initial_state(1), **options)
    with torch.no_grad():
        _, state = model(torch.tensor([[7, 4, 9]]), model.initial_state(1))
    [rest] = greedy(model.step, torch.tensor([2]), state, end=None, maximum=7)
    assert found.tokens == [*prompt, *rest.tokens]
    assert found.log_probability == pytest.approx(log_probability(model, 7, found.tokens), rel=1e-5)
