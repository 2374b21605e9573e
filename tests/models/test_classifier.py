"""The classifier: its losses by hand, what has been seen against truncated input, steps against whole sequences."""

import math

import pytest
import torch

from recurra.cells import GRU, LSTM
from recurra.layers import Bidirectional, Recurrent, Stack
from recurra.layers.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling
from recurra.models.classifier import Classifier, ReadSeries, ReadTokens

LENGTHS = torch.tensor([6, 2, 5])
TOKENS = torch.randint(9, (3, 6), generator=torch.manual_seed(1))
SERIES = torch.randn(3, 6, 2, generator=torch.manual_seed(2))
POOLINGS = {"last": LastPooling, "mean": MeanPooling, "max": MaxPooling, "attention": lambda: AttentionPooling(8, 4)}


def of_tokens(pooling="max", **options):
    torch.manual_seed(0)
    layers = Stack(Recurrent(LSTM(4, 8)), Recurrent(GRU(8, 8)))
    return Classifier(ReadTokens(9, 4), layers, POOLINGS[pooling](), 8, 3, **options)


def of_series(pooling="mean", size=None, **options):
    torch.manual_seed(0)
    reader = ReadSeries(2, size, mean=torch.tensor([1.0, -1.0]), spread=torch.tensor([2.0, 0.5]))
    return Classifier(reader, Recurrent(GRU(size or 2, 8)), POOLINGS[pooling](), 8, 3, **options)


def both_ways():
    torch.manual_seed(0)
    return Classifier(
        ReadTokens(9, 4), Bidirectional(Recurrent(GRU(4, 4)), Recurrent(GRU(4, 4))), MaxPooling(), 8, 3
    ).eval()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("make", "x"), [(of_tokens, TOKENS), (of_series, SERIES)], ids=["tokens", "series"])
def test_a_row_is_scored_by_itself_whatever_stands_behind_its_end(make, x, pooling):
    model = make(pooling).eval()
    chances = model.probabilities(x, LENGTHS)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(chances[row : row + 1], model.probabilities(x[row : row + 1, :length]))
    torch.testing.assert_close(chances.sum(1), torch.ones(3))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("make", "x"), [(of_tokens, TOKENS), (of_series, SERIES)], ids=["tokens", "series"])
def test_what_has_been_seen_is_what_truncated_input_gives(make, x, pooling):
    model = make(pooling, multilabel=pooling == "mean").eval()
    running = model.running_probabilities(x, LENGTHS)
    state = model.initial_state(3)
    for steps in range(1, 7):
        alive = LENGTHS >= steps
        wanted = model.probabilities(x[:, :steps])
        torch.testing.assert_close(running[alive, steps - 1], wanted[alive])
        chances, state = model.step(x[:, steps - 1], state)
        torch.testing.assert_close(chances, wanted)


def test_a_bidirectional_model_cannot_say_what_it_will_know():
    model = both_ways()
    assert model.probabilities(TOKENS, LENGTHS).shape == (3, 3)
    for asked in (lambda: model.running_probabilities(TOKENS), lambda: model.initial_state(1)):
        with pytest.raises(ValueError, match="future"):
            asked()


def test_the_loss_of_classes_by_hand():
    weights, targets = torch.tensor([0.5, 2.0, 1.0]), torch.tensor([2, 1, 0])
    model = of_tokens(weights=weights)
    chances = model.probabilities(TOKENS, LENGTHS)
    by_hand = -sum(weights[k] * math.log(row[k]) for row, k in zip(chances, targets, strict=True)) / 3
    assert model.loss(TOKENS, LENGTHS, targets).item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_the_loss_of_labels_by_hand():
    weights, targets = torch.tensor([0.5, 2.0, 1.0]), torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    model = of_tokens(weights=weights, multilabel=True)
    chances = model.probabilities(TOKENS, LENGTHS)
    by_hand = 0.0
    for row, wanted in zip(chances.tolist(), targets.tolist(), strict=True):
        for p, y, w in zip(row, wanted, weights.tolist(), strict=True):
            by_hand -= w * y * math.log(p) + (1 - y) * math.log(1 - p)
    assert model.loss(TOKENS, LENGTHS, targets).item() == pytest.approx(by_hand / 3, rel=1e-5)


def test_series_are_read_in_units_of_the_training_part():
    reader = of_series().reader
    torch.testing.assert_close(reader(SERIES)[..., 0], (SERIES[..., 0] - 1) / 2)
    torch.testing.assert_close(reader(SERIES)[..., 1], (SERIES[..., 1] + 1) / 0.5)
    assert {"reader.mean", "reader.spread", "thresholds", "weights"} <= of_series().state_dict().keys()
    assert of_series(size=7).reader(SERIES).shape == (3, 6, 7)


def test_dropped_words_are_read_as_unknown_while_training():
    reader = ReadTokens(9, 4, dropped=0.5, unknown=3)
    tokens = torch.arange(9).repeat(200, 1)
    dropped = (reader(tokens) != reader.eval()(tokens)).any(2)
    assert 0.45 < dropped[:, torch.arange(9) != 3].float().mean() < 0.55 and not dropped[:, 3].any()
    read = reader.train()(tokens)
    stood = (read == reader.embedding.weight[3]).all(2)
    assert (stood | (read == reader.embedding(tokens)).all(2)).all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_it_learns(pooling):
    model, targets = of_tokens(pooling), torch.tensor([0, 1, 2])
    optimiser = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(60):
        optimiser.zero_grad()
        model.loss(TOKENS, LENGTHS, targets).backward()
        optimiser.step()
    assert torch.equal(model.eval().probabilities(TOKENS, LENGTHS).argmax(1), targets)
