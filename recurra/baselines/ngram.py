"""Markov chains over tokens: the n-gram model that a recurrent network has to beat on the same stream."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Int, Integer

LARGEST_ORDER = 6
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
_BLOCK = 1 << 18  # tokens scored at once; some 20 MB of working memory


class _Level(NamedTuple):
    """The n-grams of one order, sorted, so that those that follow one context lie together.

    An n-gram is the number of its context (its place among the n-grams one shorter) times V plus its last token.
    ``share`` and ``backoff`` have one entry more than there are n-grams and contexts, for what was never seen (-1).
    """

    keys: Int[np.ndarray, " G"]
    share: Float[np.ndarray, " G+1"]
    backoff: Float[np.ndarray, " C+1"]


@final
@dataclass(frozen=True, eq=False)
class KneserNey:
    r"""Interpolated n-gram model with modified Kneser-Ney smoothing: a Markov chain of order n - 1.

    .. math::
        p_k(w \mid u) = \frac{c_k(uw) - D_k(c_k(uw))}{\sum_v c_k(uv)} + \gamma_k(u) \, p_{k-1}(w \mid u'),
        \qquad p_0(w) = 1 / V

    u is the context of k - 1 tokens, u' the same without its oldest, and :math:`\gamma_k(u)` what the discounts took
    away. :math:`c_n` counts occurrences; :math:`c_k` below it, the distinct tokens seen before the n-gram. A context
    never seen leaves the level below as it is. :math:`D_k(c)` is :math:`D_1`, :math:`D_2` or :math:`D_{3+}`, estimated
    from how many n-grams of order k have the counts 1 to 4. Where those are too few to give :math:`0 < D_c < c` (small
    data, small vocabularies), the three are 0.5, 1 and 1.5.

    Tokens are integers in [0, V) and one stream: contexts run across line ends, as a recurrent model with carried
    state sees them, and the first tokens have the shorter contexts there are. Nothing has probability zero.

    Source: Chen and Goodman (1999), Computer Speech & Language 13(4), section 3; the fallback is that of KenLM
    (Heafield et al. 2013, ACL).
    """

    order: int
    vocabulary_size: int
    levels: tuple[_Level, ...]

    @classmethod
    def fit(cls, tokens: Integer[np.ndarray, " T"], order: int, vocabulary_size: int) -> "KneserNey":
        """Count the n-grams of every order up to ``order``, 1 to 6, in a stream.

        Raises:
            ValueError: an order out of range, fewer tokens than the order, or tokens that are not integers in [0, V).
        """
        if not 1 <= order <= LARGEST_ORDER:
            raise ValueError(f"order must be 1 to {LARGEST_ORDER}, got {order}")
        tokens = _stream(tokens, vocabulary_size)
        if len(tokens) < order:
            raise ValueError(f"order {order} needs at least {order} tokens, got {len(tokens)}")
        keys, endings = [], []
        contexts = np.zeros(len(tokens), dtype=np.int64)
        for k in range(order):
            distinct, ending = np.unique(contexts * vocabulary_size + tokens[k:], return_inverse=True)
            keys.append(distinct)
            endings.append(ending)
            contexts = ending[:-1]
        counts = [_continuations(shorter, longer) for shorter, longer in pairwise(endings)] + [np.bincount(endings[-1])]
        sizes = [1, *map(len, keys)]
        levels = (
            _level(key, count, size, vocabulary_size) for key, count, size in zip(keys, counts, sizes, strict=False)
        )
        return cls(order, vocabulary_size, tuple(levels))

    @property
    def parameters(self) -> int:
        """The number of n-grams stored, over all orders."""
        return sum(len(level.keys) for level in self.levels)

    def log_probabilities(
        self, tokens: Integer[np.ndarray, " T"], context: Integer[np.ndarray, " C"] | None = None
    ) -> Float[np.ndarray, " T"]:
        """Natural logarithm of the probability of every token given those before it in the stream.

        Args:
            tokens: the stream.
            context: what came before the stream, if anything did; its last ``order - 1`` tokens matter.

        Raises:
            ValueError: tokens that are not integers in [0, V).
        """
        before = self._memory(context)
        stream = np.concatenate([before, _stream(tokens, self.vocabulary_size)])
        result = np.empty(len(stream))
        for start in range(len(before), len(stream), _BLOCK):
            first = max(0, start - self.order + 1)
            probabilities = self._probabilities(stream[first : start + _BLOCK])
            result[start : start + _BLOCK] = np.log(probabilities[start - first :])
        return result[len(before) :]

    def distribution(self, context: Integer[np.ndarray, " C"] | None = None) -> Float[np.ndarray, " V"]:
        """Probability of every token after ``context``, of which the last ``order - 1`` tokens matter.

        Raises:
            ValueError: tokens that are not integers in [0, V).
        """
        before = self._memory(context)
        contexts = [0, *(number for _, _, numbers in self._walk(before) for number in numbers[-1:])]
        probabilities = np.full(self.vocabulary_size, 1 / self.vocabulary_size)
        for level, number in zip(self.levels, contexts, strict=False):
            first, last = np.searchsorted(level.keys, np.array([number, number + 1]) * self.vocabulary_size)
            probabilities *= level.backoff[number]
            probabilities[level.keys[first:last] - number * self.vocabulary_size] += level.share[first:last]
        return probabilities

    def _memory(self, context: Integer[np.ndarray, " C"] | None) -> Int[np.ndarray, " M"]:
        before = np.empty(0, dtype=np.int64) if context is None else context
        return _stream(before[max(0, len(before) - self.order + 1) :], self.vocabulary_size)

    def _probabilities(self, tokens: Int[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
        result = np.full(len(tokens), 1 / self.vocabulary_size)
        for level, contexts, numbers in self._walk(tokens):
            result = level.share[numbers] + level.backoff[contexts] * result
        return result

    def _walk(
        self, tokens: Int[np.ndarray, " T"]
    ) -> Iterator[tuple[_Level, Int[np.ndarray, " T"], Int[np.ndarray, " T"]]]:
        """For each order: the numbers of the context before each token and of the n-gram that it ends, -1 if unseen."""
        contexts = np.zeros(len(tokens), dtype=np.int64)
        for level in self.levels:
            keys = contexts * self.vocabulary_size + tokens  # negative, and so not found, after an unseen context
            places = np.minimum(np.searchsorted(level.keys, keys), len(level.keys) - 1)
            numbers = np.where(level.keys[places] == keys, places, -1)
            yield level, contexts, numbers
            contexts = np.roll(numbers, 1)
            contexts[:1] = -1


def _stream(tokens: Integer[np.ndarray, " T"], vocabulary_size: int) -> Int[np.ndarray, " T"]:
    tokens = np.asarray(tokens)
    if tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"tokens must be one stream of integers, got {tokens.dtype} {tokens.shape}")
    if len(tokens) and not 0 <= tokens.min() <= tokens.max() < vocabulary_size:
        raise ValueError(f"tokens must lie in [0, {vocabulary_size}), got {tokens.min()} to {tokens.max()}")
    return tokens.astype(np.int64)


def _continuations(shorter: Int[np.ndarray, " T"], longer: Int[np.ndarray, " T-1"]) -> Int[np.ndarray, " G"]:
    """For each n-gram, how many distinct tokens come before it.

    Args:
        shorter: numbers of the n-grams along the stream, in the order of their ends.
        longer: numbers of those one token longer, which end at all those places but the first.
    """
    suffixes = np.empty(longer.max() + 1, dtype=np.int64)
    suffixes[longer] = shorter[1:]
    return np.bincount(suffixes, minlength=shorter.max() + 1)


def _level(keys: Int[np.ndarray, " G"], counts: Int[np.ndarray, " G"], contexts: int, vocabulary_size: int) -> _Level:
    context = keys // vocabulary_size
    discounts = _discounts(counts)[np.minimum(counts, 3)]
    totals = np.bincount(context, weights=counts, minlength=contexts)
    freed = np.bincount(context, weights=discounts, minlength=contexts)
    seen = totals > 0
    share = np.divide(counts - discounts, totals[context], out=np.zeros(len(keys)), where=seen[context])
    backoff = np.divide(freed, totals, out=np.ones(contexts), where=seen)
    return _Level(keys, np.append(share, 0.0), np.append(backoff, 1.0))


def _discounts(counts: Int[np.ndarray, " G"]) -> Float[np.ndarray, "4"]:
    """What is taken from n-grams with counts 0, 1, 2, and 3 or more."""
    _, n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=5)[:5].tolist()
    if min(n1, n2, n3) > 0:
        y = n1 / (n1 + 2 * n2)
        discounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if all(0 < discount < count for count, discount in enumerate(discounts, start=1)):
            return np.array([0.0, *discounts])
    return np.array([0.0, *FALLBACK_DISCOUNTS])
