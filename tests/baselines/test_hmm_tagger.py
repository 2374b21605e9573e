import gzip
import math
import os
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from nltk.tag.tnt import TnT

from recurra.baselines.hmm_tagger import TrigramHMM

WORDS = "a ab bab cab Cab Bab acab b bb Acb cc ca".split()


class ByTheFormulas:
    """Brants' model word for word, of exact counts in dictionaries, searched by trying every sequence of tags."""

    def __init__(self, sentences):
        self.grams, self.contexts = Counter(), Counter()
        self.lexical, self.words, self.tags = Counter(), Counter(), Counter()
        for sentence in sentences:
            tags = ["<", "<", *((tag, word[0].isupper()) for word, tag in sentence), ">"]
            for i in range(2, len(tags)):
                for n in (1, 2, 3):
                    self.grams[tuple(tags[i - n + 1 : i + 1])] += 1
                    self.contexts[tuple(tags[i - n + 1 : i])] += 1
            for word, tag in sentence:
                self.lexical[word, tag] += 1
                self.words[word] += 1
                self.tags[tag] += 1
        self.weights = self.interpolation()
        self.prior = {tag: count / self.tags.total() for tag, count in self.tags.items()}
        mean = 1 / len(self.prior)
        self.theta = math.sqrt(sum((p - mean) ** 2 for p in self.prior.values()) / (len(self.prior) - 1))

    def interpolation(self):
        weights = [0.0, 0.0, 0.0]
        for gram, count in self.grams.items():
            if len(gram) == 3:
                tried = []
                for shorter in (gram[2:], gram[1:], gram):
                    left = self.contexts[shorter[:-1]] - 1
                    tried.append((self.grams[shorter] - 1) / left if left else 0.0)
                winners = [i for i in range(3) if tried[i] == max(tried)]
                for winner in winners:
                    weights[winner] += count / len(winners)
        return [weight / sum(weights) for weight in weights]

    def transition(self, *gram):
        shares = []
        for n in (1, 2, 3):
            total = self.contexts[gram[3 - n : -1]]
            shares.append(self.grams[gram[3 - n :]] / total if total else 0.0)
        return sum(weight * share for weight, share in zip(self.weights, shares, strict=True))

    def emission(self, word, tag):
        if self.words[word]:
            return self.lexical[word, tag] / self.grams[((tag, word[0].isupper()),)]
        rare = [w for w, n in self.words.items() if n <= 10 and w[0].isupper() == word[0].isupper()]
        found = self.prior[tag]
        for length in range(1, min(len(word), 10) + 1):
            alike = [w for w in rare if w.endswith(word[-length:])]
            if not alike:
                break
            share = sum(self.lexical[w, tag] for w in alike) / sum(self.words[w] for w in alike)
            found = (share + self.theta * found) / (1 + self.theta)
        return found / self.prior[tag]

    def probability(self, words, tags):
        states = ["<", "<", *((tag, word[0].isupper()) for word, tag in zip(words, tags, strict=True)), ">"]
        result = math.prod(self.transition(*states[i - 2 : i + 1]) for i in range(2, len(states)))
        return result * math.prod(self.emission(word, tag) for word, tag in zip(words, tags, strict=True))

    def best(self, words):
        return max(product(sorted(self.tags), repeat=len(words)), key=lambda tags: self.probability(words, tags))


def corpus(seed, sentences=40):
    """Sentences of a random chain over three tags that each prefer some words; none of them is the last of WORDS."""
    rng = np.random.default_rng(seed)
    chain, emissions = rng.dirichlet([0.5] * 3, size=(3, 3)), rng.dirichlet([0.3] * (len(WORDS) - 1), size=3)
    made = []
    for _ in range(sentences):
        one, two, sentence = 0, 0, []
        for _ in range(rng.integers(1, 7)):
            one, two = two, int(rng.choice(3, p=chain[one, two]))
            sentence.append((str(rng.choice(WORDS[:-1], p=emissions[two])), "XYZ"[two]))
        made.append(sentence)
    return made


def questions(seed):
    rng = np.random.default_rng(seed)
    unseen = ["bbab", "Xab", "zz", "Q"]
    return [list(map(str, rng.choice([*WORDS, *unseen], size=rng.integers(1, 6)))) for _ in range(25)]


@pytest.mark.parametrize("seed", range(4))
def test_the_exact_search_finds_what_trying_every_sequence_finds(seed):
    sentences = corpus(seed)
    model, reference = TrigramHMM.fit(sentences, beam=math.inf), ByTheFormulas(sentences)
    np.testing.assert_allclose(model.transitions.weights, reference.weights, rtol=1e-12)
    assert model.suffixes.theta == pytest.approx(reference.theta, rel=1e-12)
    for words in questions(seed):
        want = reference.probability(words, reference.best(words))
        assert reference.probability(words, model.tag(words)) == pytest.approx(want, rel=1e-9), words


def test_a_narrow_beam_loses_likelihood_but_no_word():
    sentences = corpus(0)
    narrow, reference = TrigramHMM.fit(sentences, beam=1.0), ByTheFormulas(sentences)
    shares = [
        reference.probability(words, narrow.tag(words)) / reference.probability(words, reference.best(words))
        for words in questions(1)
    ]
    assert max(shares) <= 1 + 1e-9 and min(shares) < 0.99


@pytest.mark.parametrize("seed", range(3))
def test_tags_and_weights_are_those_of_nltk(seed):
    # words of up to 12 letters, so that an ending is not the whole word
    sentences = [[(word * 3, tag) for word, tag in sentence] for sentence in corpus(seed, 200)]
    theirs = TnT(N=10**300, C=True)
    theirs.train(sentences)
    ours = TrigramHMM.fit(sentences, beam=math.inf)
    want = (theirs._lambda1, theirs._lambda2, theirs._lambda3)
    np.testing.assert_allclose(ours.transitions.weights, want, rtol=1e-12)
    for question in questions(seed):
        words = [word[-1] + word * 3 for word in question]  # none was seen
        assert ours.tag(words) == [tag for _, tag in theirs.tag(words)], words


def test_weights_by_hand():
    # events of two sentences "A B": A after <<, B after <A, > after AB, each twice; N = 6
    model = TrigramHMM.fit([[("x", "A"), ("y", "B")]] * 2)
    # (2-1)/(6-1) for one tag; (2-1)/(2-1) = 1 with one or two before: a tie, shared
    assert model.transitions.weights == pytest.approx((0, 1 / 2, 1 / 2))
    assert model.parameters == 3 + 3 + 3 + 2 + 2  # n-grams, then x and y in the lexicon and as endings
    assert model.tag(["x", "y"]) == ["A", "B"] and model.tag([]) == []


def test_the_ending_and_the_case_decide_on_unknown_words():
    sentences = [[("walking", "V")], [("talking", "V")], [("table", "N")], [("London", "P")], [("Berlin", "P")]]
    model = TrigramHMM.fit(sentences)
    assert [model.tag([word]) for word in ("king", "cable", "Dublin", "Boston")] == [["V"], ["N"], ["P"], ["P"]]
    assert len(model.tag(["", "ß", "日本"])) == 3


@pytest.mark.parametrize(("shared", "tag"), [("abcdefghi", "X"), ("abcdefghij", "Y")])
def test_ten_letters_of_an_ending_count(shared, tag):
    model = TrigramHMM.fit([[("x" + shared, "X")], *[[("y" + shared, "Y")]] * 9, *[[("other", "X")]] * 8])
    assert model.tag(["qx" + shared]) == [tag]


def test_a_very_long_sentence_is_tagged():
    words = questions(3)[0] * 5000
    assert len(TrigramHMM.fit(corpus(0)).tag(words)) == len(words)


@pytest.mark.parametrize(
    ("sentences", "beam", "message"),
    [([], 1000.0, "no word"), ([[]], 1000.0, "no word"), ([[("a", "X")]], 0.5, "beam")],
)
def test_what_cannot_be_fitted_is_refused(sentences, beam, message):
    with pytest.raises(ValueError, match=message):
        TrigramHMM.fit(sentences, beam)


@pytest.mark.skipif("RECURRA_DATA" not in os.environ, reason="RECURRA_DATA is not set: no packed data sets here")
def test_english_web_treebank():
    """The universal tags of its test part, word for word as nltk's TnT with capitals finds them: 92.59 %."""
    folder = Path(os.environ["RECURRA_DATA"], "ud_english_ewt")
    parts = []
    for part in ("train", "test"):
        text = gzip.decompress((folder / f"en_ewt-ud-{part}.conllu.gz").read_bytes()).decode()
        blocks = [[line.split("\t") for line in block.splitlines()] for block in text.split("\n\n")]
        parts.append([[(row[1], row[3]) for row in rows if row[0].isdigit()] for rows in blocks if rows])
    train, test = parts
    theirs, ours = TnT(C=True), TrigramHMM.fit(train)
    theirs.train(train)
    found = [ours.tag([word for word, _ in sentence]) for sentence in test]
    assert found == [[tag for _, tag in theirs.tag([word for word, _ in sentence])] for sentence in test]
    right = sum(
        tag == want for tags, given in zip(found, test, strict=True) for tag, (_, want) in zip(tags, given, strict=True)
    )
    assert (right, sum(map(len, test))) == (23235, 25094)
