"""The scores to beat in translation: what an older text was translated to."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np


class TranslationMemory:
    """The translation of the known source that has most words in common with a new one.

    Words weigh the more the rarer they are, :math:`\\log(N / n)`; of equal sources the first counts. Sources without a
    known word get the first translation.

    Args:
        pairs: sources and translations, as words.

    Source: term weights of Spärck Jones (1972); similarity is the cosine of Salton, Wong and Yang (1975).
    """

    def __init__(self, pairs: Iterable[tuple[list[str], str]]) -> None:
        self.translations: list[str] = []
        places: defaultdict[str, list[int]] = defaultdict(list)
        counts: defaultdict[str, list[int]] = defaultdict(list)
        for number, (words, translation) in enumerate(pairs):
            self.translations.append(translation)
            for word, count in Counter(words).items():
                places[word].append(number)
                counts[word].append(count)
        size = len(self.translations)
        self._weights = {word: float(np.log(size / len(found))) for word, found in places.items()}
        self._places = {word: np.array(found, np.int32) for word, found in places.items()}
        self._counts = {word: np.array(found, np.float32) * self._weights[word] for word, found in counts.items()}
        norms = np.zeros(size)
        for word, found in self._places.items():
            norms[found] += self._counts[word].astype(np.float64) ** 2
        self._norms = np.sqrt(np.maximum(norms, 1e-12))

    def translate(self, words: Iterable[str]) -> str:
        """The translation of the most similar source."""
        similarity = np.zeros(len(self.translations))
        for word, count in Counter(words).items():
            if word in self._places:
                similarity[self._places[word]] += count * self._weights[word] * self._counts[word]
        return self.translations[int(np.argmax(similarity / self._norms))]
