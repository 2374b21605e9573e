"""Taggers: what padding, batch and the order of words must not change, and what a small one learns."""

import pytest
import torch
from torch import nn

from recurra.cells import LSTM
from recurra.layers import CRF, Bidirectional, Recurrent
from recurra.models.tagger import Sentences, Spelling, SpellingConvolution, Tagger

WORDS, CHARACTERS, TAGS = 20, 9, 4


def both_ways(inputs, hidden):
    return Bidirectional(Recurrent(LSTM(inputs, hidden)), Recurrent(LSTM(inputs, hidden)))


def spelling_of(kind):
    if kind == "layer":
        return Spelling(CHARACTERS, 3, both_ways(3, 5), 10)
    return SpellingConvolution(CHARACTERS, 3, 10) if kind == "filters" else None


def tagger(kind="layer", crf=False):
    torch.manual_seed(0)
    spelling = spelling_of(kind)
    size = 6 + (spelling.output_size if spelling else 0)
    return Tagger(WORDS, 6, both_ways(size, 7), 14, TAGS, spelling=spelling, crf=CRF(TAGS) if crf else None).double()


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
    return Sentences(words, torch.tensor(lengths), spellings, letters, spelt)


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
        alone = given._replace(words=given.words[part], spelt=given.spelt[part], lengths=given.lengths[row : row + 1])
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
    model = Tagger(1, 2, both_ways(12, 8), 16, TAGS, spelling=spelling_of("layer"))
    draw = torch.manual_seed(3)
    spellings, letters = torch.randint(2, (64, 4), generator=draw), torch.randint(2, 5, (64,), generator=draw)
    last = spellings.gather(1, letters.unsqueeze(1) - 1).squeeze(1)
    tags = 2 * spellings[:, 0] + last
    given = Sentences(torch.zeros(8, 8, dtype=torch.int64), torch.full((8,), 8), spellings, letters, torch.arange(64).view(8, 8))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        model.loss(given, tags.view(8, 8)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    assert torch.equal(model.best(given), tags.view(8, 8))
