"""The trigram hidden Markov model of tags: what a recurrent tagger has to beat."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Float, Int

LONGEST_SUFFIX = 10  # characters
RARE = 10  # words seen more often say nothing of unknown ones
BEAM = 1000.0
_FLOOR = np.finfo(np.float64).tiny  # so that the logarithm of a probability of zero is finite

Candidates = tuple[Int[np.ndarray, " C"], Float[np.ndarray, " C"]]
"""The states that a word may have, in order, and the logarithm of the word's probability in each."""


class _Transitions(NamedTuple):
    """P(state | the two before it); the last two of S states begin and end a sentence.

    Args:
        weights: of the uni-, bi- and trigrams.
        pairs: what uni- and bigrams give the second of two states after the first.
        triples: those seen, in order, each as a number with three digits of base S; tables of all would not fit.
        shares: what trigrams add for each of them, and 0 for all others at the end.
        grams: how many n-grams of all three orders were counted.
    """

    weights: tuple[float, float, float]
    pairs: Float[np.ndarray, "S S"]
    triples: Int[np.ndarray, " G"]
    shares: Float[np.ndarray, " G+1"]
    grams: int

    def logarithms(
        self, before: Int[np.ndarray, " A"], here: Int[np.ndarray, " B"], after: Int[np.ndarray, " C"]
    ) -> Float[np.ndarray, "A B C"]:
        """Logarithms of the probabilities of all three in a row."""
        size = len(self.pairs)
        wanted = ((before[:, None] * size + here) * size)[:, :, None] + after
        places = np.minimum(np.searchsorted(self.triples, wanted), len(self.triples) - 1)
        places[self.triples[places] != wanted] = -1
        return _log(self.pairs[here[:, None], after] + self.shares[places])


class _Suffixes(NamedTuple):
    """How often each tag came with each ending of rare words, apart for those that begin with a capital letter."""

    upper: Mapping[str, Counter[int]]
    lower: Mapping[str, Counter[int]]
    prior: Float[np.ndarray, " K"]
    theta: float


@final
@dataclass(frozen=True, eq=False)
class TrigramHMM:
    r"""Tagger by a hidden Markov model of the second order: TnT.

    .. math::
        \hat{t} = \arg\max_t P(\text{end} \mid t_{n-1}, t_n) \prod_i P(t_i \mid t_{i-2}, t_{i-1}) P(w_i \mid t_i),
        \qquad P(c \mid a, b) = \lambda_1 \hat{P}(c) + \lambda_2 \hat{P}(c \mid b) + \lambda_3 \hat{P}(c \mid a, b)

    A state :math:`t_i` is a tag together with whether its word begins with a capital letter. The weights come from
    deleted interpolation. A word seen in training has the tags it had there. The tags of another follow from its
    ending, of up to 10 letters, over the rare words (seen up to 10 times) that begin in the same case:

    .. math::
        P_i(t) = \frac{\hat{P}(t \mid s_i) + \theta P_{i-1}(t)}{1 + \theta}, \quad P_0 = \hat{P}(t), \qquad
        P(w \mid t) \propto P_m(t) / \hat{P}(t)

    :math:`s_i` is the ending of i letters, m the longest one seen, :math:`\theta` the standard deviation of
    :math:`\hat{P}(t)`.

    Source: Brants (2000), TnT, ANLP. Where it leaves a choice: the end of a sentence is a state like the others, with
    all three orders; ties in the interpolation share their count; endings speak of tags, not of states;
    :math:`\theta` is the standard deviation that the text names, where the equation prints its square.

    Args:
        tags: by their numbers.
        beam: states are given up where all their paths are less likely than the best one by this factor; infinite for
            an exact search.
    """

    tags: tuple[str, ...]
    transitions: _Transitions
    lexicon: Mapping[str, Candidates]
    suffixes: _Suffixes
    beam: float = BEAM

    @classmethod
    def fit(cls, sentences: Iterable[Sequence[tuple[str, str]]], beam: float = BEAM) -> "TrigramHMM":
        """Count the words and tags of sentences of (word, tag); empty ones are passed over.

        Raises:
            ValueError: there is no word, or a beam below 1.
        """
        if not beam >= 1:
            raise ValueError(f"beam must be at least 1, got {beam}")
        numbers: dict[str, int] = {}
        seen: dict[str, Counter[int]] = defaultdict(Counter)
        sequences = []
        for sentence in sentences:
            sequence = []
            for word, tag in sentence:
                number = numbers.setdefault(tag, len(numbers))
                seen[word][number] += 1
                sequence.append(_state(number, word))
            sequences.append(sequence)
        if not seen:
            raise ValueError("no word to learn from: give at least one sentence of (word, tag)")
        events = _events(filter(None, sequences), start=2 * len(numbers))
        states = np.bincount(events[:, 2], minlength=2 * len(numbers) + 2)
        lexicon = {word: _emissions(word, tags, states) for word, tags in seen.items()}
        tags = states[:-2].reshape(-1, 2).sum(axis=1)
        return cls(tuple(numbers), _transitions(events, len(states)), lexicon, _suffixes(seen, tags), beam)

    @property
    def parameters(self) -> int:
        """The counts stored: n-grams of tags, pairs of a word and a tag, and of an ending and a tag."""
        lexical = sum(len(tags) for tags, _ in self.lexicon.values())
        endings = sum(len(tags) for kind in (self.suffixes.upper, self.suffixes.lower) for tags in kind.values())
        return self.transitions.grams + lexical + endings

    def tag(self, words: Sequence[str]) -> list[str]:
        """The most likely tag of each word of a sentence."""
        if not words:
            return []
        before = here = np.array([2 * len(self.tags)])
        score = np.zeros((1, 1))
        trellis = []
        for word in words:
            after, emissions = self.lexicon.get(word) or self._unknown(word)
            paths = score[:, :, None] + self.transitions.logarithms(before, here, after)
            score, origin = paths.max(axis=0) + emissions, before[paths.argmax(axis=0)]
            alive = score >= score.max() - math.log(self.beam)
            firsts, seconds = alive.any(axis=1), alive.any(axis=0)
            before, here, score = here[firsts], after[seconds], score[firsts][:, seconds]
            trellis.append((before, here, origin[firsts][:, seconds]))
        score = score + self.transitions.logarithms(before, here, np.array([2 * len(self.tags) + 1]))[:, :, 0]
        first, second = np.unravel_index(score.argmax(), score.shape)
        path = [here[second], before[first]]
        for firsts, seconds, origin in reversed(trellis[1:]):
            path.append(origin[np.searchsorted(firsts, path[-1]), np.searchsorted(seconds, path[-2])])
        return [self.tags[state // 2] for state in path[-2::-1]]

    def _unknown(self, word: str) -> Candidates:
        endings = self.suffixes.upper if word[:1].isupper() else self.suffixes.lower
        theta, prior = self.suffixes.theta, self.suffixes.prior
        found = prior
        for ending in _endings(word):
            if (tags := endings.get(ending)) is None:
                break
            shares = np.bincount([*tags], weights=[*tags.values()], minlength=len(prior)) / tags.total()
            found = (shares + theta * found) / (1 + theta)
        return _state(np.arange(len(prior)), word), _log(found / prior)


def _state(tag: Any, word: str) -> Any:
    """Of a tag's number, or of several in an array."""
    return 2 * tag + word[:1].isupper()


def _endings(word: str) -> Iterator[str]:
    """The last letter, the last two, and so on."""
    return (word[-length:] for length in range(1, min(len(word), LONGEST_SUFFIX) + 1))


def _log(probabilities: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return np.log(np.maximum(probabilities, _FLOOR))


def _emissions(word: str, tags: Counter[int], counts: Int[np.ndarray, " S"]) -> Candidates:
    numbers = np.array(sorted(tags))
    states = _state(numbers, word)
    return states, np.log(np.array([tags[number] for number in numbers.tolist()]) / counts[states])


def _suffixes(seen: Mapping[str, Counter[int]], counts: Int[np.ndarray, " K"]) -> _Suffixes:
    upper: dict[str, Counter[int]] = defaultdict(Counter)
    lower: dict[str, Counter[int]] = defaultdict(Counter)
    for word, tags in seen.items():
        if tags.total() <= RARE:
            endings = upper if word[:1].isupper() else lower
            for ending in _endings(word):
                endings[ending] += tags
    prior = counts / counts.sum()
    theta = float(prior.std(ddof=1)) if len(prior) > 1 else 0.0
    return _Suffixes(dict(upper), dict(lower), prior, theta)


def _events(sequences: Iterable[Sequence[int]], start: int) -> Int[np.ndarray, "E 3"]:
    """Every state and every end of a sentence, each after the two before it."""
    stream = np.array([state for sequence in sequences for state in (start, start, *sequence, start + 1)])
    triples = np.lib.stride_tricks.sliding_window_view(stream, 3)
    return triples[triples[:, 2] != start]


def _transitions(events: Int[np.ndarray, "E 3"], size: int) -> _Transitions:
    """Deleted interpolation over ``size`` states."""
    total = len(events)
    triples, trigrams = np.unique(events @ [size * size, size, 1], return_counts=True)
    _, contexts = np.unique(triples // size, return_inverse=True)
    second, third = triples // size % size, triples % size
    unigrams = np.bincount(events[:, 2], minlength=size)
    bigrams = np.bincount(events[:, 1] * size + events[:, 2], minlength=size * size).reshape(size, size)
    after_one, after_two = bigrams.sum(axis=1), np.bincount(contexts, weights=trigrams)

    held_out = [
        (unigrams[third] - 1, np.full(len(triples), total - 1)),
        (bigrams[second, third] - 1, after_one[second] - 1),
        (trigrams - 1, after_two[contexts] - 1),
    ]
    shares = np.stack([_divide(*each) for each in held_out])
    best = shares == shares.max(axis=0)
    weights = (best * trigrams / best.sum(axis=0)).sum(axis=1) / total

    one, two, three = weights.tolist()
    table = one * unigrams / total + two * _divide(bigrams, after_one[:, None])
    shares = np.append(three * trigrams / after_two[contexts], 0.0)
    grams = int(np.count_nonzero(unigrams) + np.count_nonzero(bigrams)) + len(triples)
    return _Transitions((one, two, three), table, triples, shares, grams)


def _divide(counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Shares; none where there is nothing to share."""
    return np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
