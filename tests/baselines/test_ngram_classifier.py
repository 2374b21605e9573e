import math

import numpy as np
import pytest

from recurra.baselines.ngram_classifier import NgramClassifier
from tests.baselines.test_ngram import ByTheFormulas


def ids(*tokens):
    return np.array(tokens, dtype=np.int64)


def test_bigrams_by_hand():
    # class a is the stream |0|00| (| the mark): 01 and 10 twice, 00 once; too little data: discounts 0.5 and 1.
    # 0 follows two tokens and | one: p(0) = (2 - 1) / 3 + 1 / 4, p(|) = (1 - 0.5) / 3 + 1 / 4; half of it goes below
    model = NgramClassifier.fit([ids(0), ids(0, 0), ids()], ["a", "a", "b"], vocabulary_size=1)
    assert model.classes == ("a", "b") and np.exp(model.log_prior).tolist() == pytest.approx([2 / 3, 1 / 3])
    after_mark, end_after_mark, after_zero, end_after_zero = 19 / 24, 5 / 24, 11 / 24, 13 / 24
    want = [end_after_mark, after_mark * end_after_zero, after_mark * after_zero * end_after_zero]
    found = model.log_likelihoods([ids(), ids(0), ids(0, 0)])
    np.testing.assert_allclose(np.exp(found[:, 0]), want, rtol=1e-12)
    # class b is ||: p(|) = (1 - 0.5) / 1 + 0.5 / 2, and p(| after |) = (1 - 0.5) / 1 + 0.5 * 3 / 4
    assert found[0, 1] == pytest.approx(math.log(7 / 8))
    assert model.predict([ids(), ids(0), ids(0, 0)]) == ["b", "a", "a"]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_likelihoods_are_those_of_the_formulas(order):
    rng = np.random.default_rng(order)
    sequences = [rng.choice(6, size=rng.integers(0, 9), p=rng.dirichlet(np.ones(6))) for _ in range(60)]
    labels = [str(label) for label in rng.choice(["x", "y"], 60)]
    model = NgramClassifier.fit(sequences, labels, vocabulary_size=6, order=order)
    for k, name in enumerate("xy"):
        stream = [6]
        for one, label in zip(sequences, labels, strict=True):
            stream += [*one.tolist(), 6] if label == name else []
        reference = ByTheFormulas(stream, order, 7)
        for question in ([], [0], [5, 4, 3, 2], [1, 1, 2, 0, 0, 3]):
            marked = [6, *question, 6]
            want = sum(math.log(reference.probability(marked[i], tuple(marked[:i]))) for i in range(1, len(marked)))
            assert model.log_likelihoods([ids(*question)])[0, k] == pytest.approx(want, rel=1e-12)


def test_the_share_of_a_class_counts():
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 4, 3) for _ in range(60)]
    model = NgramClassifier.fit(sequences, ["rare"] * 20 + ["usual"] * 40, vocabulary_size=4)
    likelihoods = model.log_likelihoods(sequences)
    rare = likelihoods[:, 0] - likelihoods[:, 1] > math.log(40 / 20)
    assert model.predict(sequences) == ["rare" if one else "usual" for one in rare]
    assert 0 < rare.sum() < (likelihoods[:, 0] > likelihoods[:, 1]).sum()


def test_a_class_too_small_for_the_order_is_borne():
    model = NgramClassifier.fit([ids(), ids(0, 1, 2, 3, 4)], ["empty", "full"], vocabulary_size=5, order=6)
    assert [one.order for one in model.models] == [2, 6]
    assert model.predict([ids(), ids(0, 1, 2)]) == ["empty", "full"]


@pytest.mark.parametrize(
    ("sequences", "labels", "order", "message"),
    [
        ([], [], 2, "one label for each"),
        ([[0]], ["a", "b"], 2, "one label for each"),
        ([[0, 9]], ["a"], 2, r"\[0, 3\)"),
        ([[0.5]], ["a"], 2, "integers"),
        ([[0]], ["a"], 0, "order"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sequences, labels, order, message):
    with pytest.raises(ValueError, match=message):
        NgramClassifier.fit([np.array(one) for one in sequences], labels, 3, order)
