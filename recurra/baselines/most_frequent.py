"""The trivial tagger: each word has the tag that it had most often, a new one that of the words seen once."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence


class MostFrequentTag:
    """Tags of words from how often each word had which.

    Args:
        by_word: the commonest tag of every word that was seen.
        otherwise: of all other words.
    """

    def __init__(self, by_word: dict[str, str], otherwise: str) -> None:
        self.by_word, self.otherwise = by_word, otherwise

    @classmethod
    def fit(cls, sentences: Iterable[Sequence[tuple[str, str]]]) -> "MostFrequentTag":
        """Count in sentences of words with their tags; of equally common tags the first that came holds."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for sentence in sentences:
            for word, tag in sentence:
                counts[word][tag] += 1
        by_word = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
        once = Counter(by_word[word] for word, tags in counts.items() if tags.total() == 1)
        return cls(by_word, (once or Counter(by_word.values())).most_common(1)[0][0])

    @property
    def parameters(self) -> int:
        """How many words have a tag."""
        return len(self.by_word)

    def tag(self, words: Sequence[str]) -> list[str]:
        """The tag of each word."""
        return [self.by_word.get(word, self.otherwise) for word in words]
