"""The nearest source, beside scikit-learn's."""

import numpy as np
import pytest

from recurra.baselines.translation_memory import TranslationMemory

SOURCES = ["a man runs", "a dog runs fast", "a man sleeps", "two dogs and a man", "the the the dog"]


@pytest.mark.parametrize("text", ["dog runs", "man man sleeps", "the dog", "two dogs fast", "a man runs"])
def test_it_is_the_largest_cosine_of_weighted_words(text):
    sklearn = pytest.importorskip("sklearn.feature_extraction.text")
    memory = TranslationMemory((source.split(), str(number)) for number, source in enumerate(SOURCES))
    count = sklearn.CountVectorizer(token_pattern=r"\S+")
    table = count.fit_transform(SOURCES).toarray().astype(float)
    weights = np.log(len(SOURCES) / (table > 0).sum(0))
    table, query = table * weights, count.transform([text]).toarray()[0] * weights
    cosines = table @ query / np.maximum(np.linalg.norm(table, axis=1), 1e-6)
    assert memory.translate(text.split()) == str(int(cosines.argmax()))


def test_without_a_known_word_it_is_the_first():
    memory = TranslationMemory([(["a"], "eins"), (["b"], "zwei")])
    assert memory.translate(["c"]) == "eins" and memory.translate([]) == "eins"
