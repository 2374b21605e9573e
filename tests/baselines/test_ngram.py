import gzip
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from recurra.baselines.ngram import KneserNey


class ByTheFormulas:
    """Chen and Goodman's model word for word: dictionaries of tuples, sums over the vocabulary, recursion."""

    def __init__(self, stream: list[int], order: int, vocabulary_size: int) -> None:
        self.order, self.vocabulary_size, self.estimated = order, vocabulary_size, []
        self.counts = {order: Counter(tuple(stream[i : i + order]) for i in range(len(stream) - order + 1))}
        for k in range(1, order):
            longer = {tuple(stream[i : i + k + 1]) for i in range(len(stream) - k)}
            self.counts[k] = Counter(gram[1:] for gram in longer)
        self.discounts = {k: self.estimate(counts) for k, counts in self.counts.items()}

    def estimate(self, counts: Counter) -> list[float]:
        n = Counter(counts.values())
        if n[1] and n[2] and n[3]:
            y = n[1] / (n[1] + 2 * n[2])
            d = [0.0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]]
            if 0 < d[1] < 1 and 0 < d[2] < 2 and 0 < d[3] < 3:
                self.estimated.append(True)
                return d
        self.estimated.append(False)
        return [0.0, 0.5, 1.0, 1.5]

    def probability(self, token: int, context: tuple[int, ...]) -> float:
        if len(context) > self.order - 1:
            context = context[len(context) - self.order + 1 :]
        k = len(context) + 1
        lower = self.probability(token, context[1:]) if context else 1 / self.vocabulary_size
        following = {v: self.counts[k][(*context, v)] for v in range(self.vocabulary_size)}
        total = sum(following.values())
        if total == 0:
            return lower
        n1, n2 = (sum(c == i for c in following.values()) for i in (1, 2))
        n3 = sum(c >= 3 for c in following.values())
        d = self.discounts[k]
        gamma = (d[1] * n1 + d[2] * n2 + d[3] * n3) / total
        return (following[token] - d[min(following[token], 3)]) / total + gamma * lower


def skewed_stream(length: int, vocabulary_size: int, seed: int) -> np.ndarray:
    """Tokens of a Zipf-like distribution that repeat what came three before, one time in two."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, vocabulary_size + 1)
    stream = rng.choice(vocabulary_size, size=length, p=weights / weights.sum())
    for i in range(3, length):
        if rng.random() < 0.5:
            stream[i] = stream[i - 3]
    return stream


@pytest.mark.parametrize("order", range(1, 7))
@pytest.mark.parametrize(("length", "vocabulary_size"), [(7, 3), (60, 5), (1000, 12)])
def test_probabilities_are_those_of_the_formulas(order, length, vocabulary_size):
    train, test = (
        skewed_stream(length, vocabulary_size, seed=order),
        skewed_stream(80, vocabulary_size, seed=order + 10),
    )
    model, reference = (fit(train, order, vocabulary_size) for fit in (KneserNey.fit, ByTheFormulas))
    want = [reference.probability(w, tuple(test[:i].tolist())) for i, w in enumerate(test.tolist())]
    np.testing.assert_allclose(np.exp(model.log_probabilities(test)), want, rtol=1e-12, atol=0)
    if length == 1000:  # enough for the highest order to have its own discounts, while order 1 has counts too few
        assert reference.estimated[0] is (order > 1)


@pytest.mark.parametrize("order", range(1, 7))
def test_distributions_sum_to_one_and_agree_with_the_stream(order):
    train, test = skewed_stream(400, 30, seed=0), skewed_stream(60, 40, seed=1)
    model = KneserNey.fit(train, order, 40)
    logs = model.log_probabilities(test)
    unseen = 0
    for i, token in enumerate(test):
        distribution = model.distribution(test[:i])
        assert distribution.shape == (40,) and distribution.min() > 0
        assert abs(distribution.sum() - 1) < 1e-12
        assert abs(np.log(distribution[token]) - logs[i]) < 1e-12
        unseen += i > 0 and test[i - 1] not in train
    assert unseen > 0, "the stream should have contexts that were never seen"
    np.testing.assert_array_equal(model.distribution(), model.distribution(test[:0]))


def test_bigrams_by_hand():
    # 01 and 10 twice, 02 once; one distinct token before each of 0, 1 and 2; too little data: discounts 0.5 and 1
    model = KneserNey.fit(np.array([0, 1, 0, 1, 0, 2]), order=2, vocabulary_size=4)
    unigram = np.array([7, 7, 7, 3]) / 24  # (1 - 0.5) / 3 + 0.5 / 4, and 0.5 / 4
    np.testing.assert_allclose(model.distribution(), unigram, rtol=1e-14)
    np.testing.assert_allclose(model.distribution(np.array([0])), np.array([7, 23, 15, 3]) / 48, rtol=1e-14)
    np.testing.assert_allclose(model.distribution(np.array([1])), np.array([31, 7, 7, 3]) / 48, rtol=1e-14)
    np.testing.assert_allclose(model.distribution(np.array([2])), unigram, rtol=1e-14)
    np.testing.assert_allclose(np.exp(model.log_probabilities(np.array([0, 1, 3]))), [7 / 24, 23 / 48, 1 / 16])
    assert model.parameters == 4 - 1 + 3


def test_discounts_by_hand():
    # counts 4, 3, 2, 2, 1, 1, 1: n1..n4 = 3, 2, 1, 1; Y = 3/7; D1 = 3/7, D2 = 19/14, D3+ = 9/7
    stream = np.repeat(np.arange(7), [4, 3, 2, 2, 1, 1, 1])
    distribution = KneserNey.fit(stream, order=1, vocabulary_size=8).distribution()
    freed = (3 * 3 / 7 + 2 * 19 / 14 + 2 * 9 / 7) / 14 / 8
    kept = np.array([4 - 9 / 7, 3 - 9 / 7, 2 - 19 / 14, 2 - 19 / 14, 4 / 7, 4 / 7, 4 / 7, 0]) / 14
    np.testing.assert_allclose(distribution, kept + freed, rtol=1e-14)


def test_a_long_stream_scores_as_its_pieces():
    stream = np.random.default_rng(0).integers(50, size=600_000).astype(np.uint16)
    model = KneserNey.fit(stream[:5000].astype(np.uint64), order=4, vocabulary_size=50)
    whole = model.log_probabilities(stream)
    pieces = [model.log_probabilities(stream[i : i + 70_000], context=stream[:i]) for i in range(0, 600_000, 70_000)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_numbers_of_n_grams_do_not_overflow_with_a_large_vocabulary():
    stream = np.random.default_rng(0).integers(500, size=3000)
    small, large = KneserNey.fit(stream, 6, 500), KneserNey.fit(stream * 1_000_000, 6, 500_000_000)
    assert small.parameters == large.parameters
    for level, other in zip(small.levels[1:], large.levels[1:], strict=True):
        np.testing.assert_array_equal(level.share, other.share)


@pytest.mark.parametrize(
    ("tokens", "order", "message"),
    [
        (np.arange(9), 0, "order must be 1 to 6, got 0"),
        (np.arange(9), 7, "order must be 1 to 6, got 7"),
        (np.arange(3), 4, "order 4 needs at least 4 tokens, got 3"),
        (np.array([0, 1, 10]), 2, r"\[0, 10\), got 0 to 10"),
        (np.array([0, -1, 2]), 2, r"\[0, 10\), got -1 to 2"),
        (np.array([0.0, 1.0]), 1, "integers"),
        (np.zeros((2, 3), dtype=int), 1, "one stream"),
    ],
)
def test_what_cannot_be_counted_is_refused(tokens, order, message):
    with pytest.raises(ValueError, match=message):
        KneserNey.fit(tokens, order, vocabulary_size=10)


@pytest.mark.skipif("RECURRA_DATA" not in os.environ, reason="RECURRA_DATA, the folder of public data sets, is not set")
def test_penn_treebank_perplexities_are_the_published_ones():
    """Mikolov (2012), thesis, table 4.1: 148.3 and 141.2 on the test set, from sentences rather than one stream."""
    words = {}
    for split in ("train", "test"):
        path = Path(os.environ["RECURRA_DATA"], "ptb", f"ptb.{split}.txt.gz")
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            words[split] = [word for line in lines for word in [*line.split(), "<eos>"]]
    numbers = {word: number for number, word in enumerate(sorted(set(words["train"])))}
    train, test = (np.array([numbers[word] for word in words[split]]) for split in ("train", "test"))
    for order, published in ((3, 148.3), (5, 141.2)):
        logs = KneserNey.fit(train, order, len(numbers)).log_probabilities(test)
        assert abs(math.exp(-logs.mean()) - published) < 0.2
