"""Taggers: what padding, batch and the order of words must not change, and what a small one learns."""

import pytest
import torch
from torch import nn

from recurra.cells import LSTM
from recurra.layers import CRF, Bidirectional, Recurrent
from recurra.models.tagger import Sentences, Spelling, SpellingConvolution, Tagger, TokenFeatures

WORDS, CHARACTERS, TAGS = 20, 9, 4


def both_ways(inputs, hidden):
    return Bidirectional(Recurrent(LSTM(inputs, hidden)), Recurrent(LSTM(inputs, hidden)))


def spelling_of(kind):
    if kind == "layer":
        return Spelling(CHARACTERS, 3, both_ways(3, 5), 10)
    return SpellingConvolution(CHARACTERS, 3, 10) if kind == "filters" else None


def tagger(kind="layer", crf=False, layers=None, delay=0):
    torch.manual_seed(0)
    features = TokenFeatures(WORDS, 6, spelling=spelling_of(kind), inputs=[3, 2], input_size=2)
    layers, size = (layers(features.size), 7) if layers else (both_ways(features.size, 7), 14)
    return Tagger(features, layers, size, TAGS, crf=CRF(TAGS) if crf else None, delay=delay).double()


def sentences(lengths=(5, 1, 3), blank=0):
    draw = torch.manual_seed(1)
    steps = max(lengths)
    words = torch.randint(WORDS, (len(lengths), steps), generator=draw)
    spelt = torch.randint(6, (len(lengths), steps), generator=draw)
    letters = torch.tensor([4, 1, 2, 6, 3, 5])
    spellings = torch.randint(CHARACTERS, (6, 6), generator=draw)
    for row, length in enumerate(lengths):
        words[row, length:] = blank
        spelt[row, length:] = blank % 6
    for word, count in enumerate(letters.tolist()):
        spellings[word, count:] = blank % CHARACTERS
    inputs = torch.randint(2, (len(lengths), steps, 2), generator=draw)
    for row, length in enumerate(lengths):
        inputs[row, length:] = blank % 2
    return Sentences(words, torch.tensor(lengths), spellings, letters, spelt, inputs)


def cut(given, rows, steps):
    """Some steps of some sentences, as sentences of that length."""
    words, spelt, inputs = (each[rows, steps] for each in (given.words, given.spelt, given.inputs))
    lengths = torch.full((len(words),), words.shape[1])
    return given._replace(words=words, spelt=spelt, inputs=inputs, lengths=lengths)


kinds = pytest.mark.parametrize("kind", ["layer", "filters", None])
ends = pytest.mark.parametrize("crf", [False, True], ids=["softmax", "crf"])


@kinds
@ends
def test_padding_changes_nothing(kind, crf):
    model, tags = tagger(kind, crf), torch.randint(TAGS, (3, 5), generator=torch.manual_seed(2))
    one, other = sentences(), sentences(blank=7)
    torch.testing.assert_close(model.loss(one, tags), model.loss(other, tags), rtol=1e-12, atol=0)
    assert torch.equal(model.best(one), model.best(other))


@kinds
@ends
def test_sentences_by_themselves(kind, crf):
    model, tags, given = tagger(kind, crf), torch.randint(TAGS, (3, 5), generator=torch.manual_seed(2)), sentences()
    total = 0.0
    for row, length in enumerate(given.lengths.tolist()):
        part = slice(row, row + 1), slice(0, length)
        alone = cut(given, *part)
        total = total + model.loss(alone, tags[part])
        assert torch.equal(model.best(alone), model.best(given)[part])
        torch.testing.assert_close(model.chances(alone), model.chances(given)[part], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(model.loss(given, tags), total, rtol=1e-12, atol=0)
    assert (model.best(given) == -1).sum() == 6  # of fifteen places nine are tokens


@ends
def test_chances_are_those_of_the_best_and_the_loss(crf):
    model, given = tagger(crf=crf), sentences((1, 1))
    tags, chances = model.best(given), model.chances(given)
    torch.testing.assert_close(chances.sum(2), torch.ones(2, 1, dtype=torch.float64))
    best = chances.gather(2, tags.unsqueeze(2)).log().sum()
    torch.testing.assert_close(model.loss(given, tags), -best)


def test_filters_beside_a_loop_over_places():
    layer, given = spelling_of("filters").double(), sentences()
    found = layer(given.spellings, given.letters)
    for word, count in enumerate(given.letters.tolist()):
        x = layer.embedding(given.spellings[word, :count])
        x = torch.cat([torch.zeros(1, 3, dtype=x.dtype), x, torch.zeros(1, 3, dtype=x.dtype)])
        answers = [(layer.filters.weight * x[t : t + 3].T).sum((1, 2)) + layer.filters.bias for t in range(count)]
        torch.testing.assert_close(found[word], torch.stack(answers).amax(0))


def test_the_spelling_alone_tells_tags_apart():
    """Tags that follow from the first and the last character of a word, whose number says nothing."""
    torch.manual_seed(0)
    model = Tagger(TokenFeatures(1, 2, spelling=spelling_of("layer")), both_ways(12, 8), 16, TAGS)
    draw = torch.manual_seed(3)
    spellings, letters = torch.randint(2, (64, 4), generator=draw), torch.randint(2, 5, (64,), generator=draw)
    last = spellings.gather(1, letters.unsqueeze(1) - 1).squeeze(1)
    tags = 2 * spellings[:, 0] + last
    words, none = torch.zeros(8, 8, dtype=torch.int64), torch.zeros(8, 8, 0, dtype=torch.int64)
    given = Sentences(words, torch.full((8,), 8), spellings, letters, torch.arange(64).view(8, 8), none)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        model.loss(given, tags.view(8, 8)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    assert torch.equal(model.best(given), tags.view(8, 8))


def ahead(size):
    return Recurrent(LSTM(size, 7))


@pytest.mark.parametrize("delay", [0, 2])
def test_a_stream_gives_the_scores_of_the_whole(delay):
    model, given = tagger(layers=ahead, delay=delay), sentences((5,))
    state, found = model.initial_state(1), []
    for t in range(5):
        scores, state = model.step(cut(given, slice(0, 1), slice(t, t + 1)), state)
        found.append(scores)
    for _ in range(delay):
        scores, state = model.step(None, state)
        found.append(scores)
    torch.testing.assert_close(torch.stack(found[delay:], 1), model(given), rtol=1e-12, atol=1e-14)


def test_a_delay_lets_a_word_know_those_after_it():
    """The scores of a word depend on the next two, and on no later one."""
    model, given = tagger(None, layers=ahead, delay=2), sentences((5,))
    table = model.features.embedding.weight
    given = given._replace(words=torch.tensor([[3, 1, 4, 0, 5]]))
    model(given)[0, 1].sum().backward()
    reach = table.grad[given.words[0]].abs().sum(1)
    assert [bool(each) for each in reach] == [True, True, True, True, False]


def test_both_directions_need_the_future():
    with pytest.raises(ValueError, match="reads each sequence from its end as well"):
        tagger().initial_state(1)
