"""What charts count."""

import numpy as np
from sklearn.metrics import confusion_matrix

from recurra.tasks import charts


def test_confusions_beside_scikit_learn():
    draw = np.random.default_rng(0)
    given, predicted = (draw.choice(list("dacb"), 100).tolist() for _ in range(2))
    predicted[0] = "new"
    labels, counts = charts.confusions(given, predicted)
    assert labels == ["a", "b", "c", "d", "new"]
    assert np.array_equal(counts, confusion_matrix(given, predicted, labels=labels))


def test_of_many_labels_the_rarest_are_left_out(monkeypatch):
    monkeypatch.setattr(charts, "MOST_LABELS", 2)
    labels, counts = charts.confusions(list("aabbbc"), list("abbbca"))
    assert labels == ["a", "b"] and counts.tolist() == [[1, 1], [0, 2]]
