import math
import sys

import numpy as np
import pytest

from recurra.errors import BadInput
from recurra.metrics.classification import Thresholds, choose_thresholds, class_scores, log_loss, multilabel_scores


def f1(given, found):
    """From counts: 2 true positives over given and found."""
    total = given.sum() + found.sum()
    return 2 * (given & found).sum() / total if total else 0.0


def labelled(seed, cases, labels):
    """Probabilities, often alike, that tell something of some labels; the last label is given to no case."""
    rng = np.random.default_rng(seed)
    given = rng.random((cases, labels)) < rng.random(labels)
    given[:, -1] = False
    return given, np.round(np.clip(0.3 * given + 0.7 * rng.random((cases, labels)), 0, 1), 1)


def test_class_scores_by_hand():
    # of a, a, b, c: a is found once, b once; a has F1 2 / 3, b 2 / 3 (found twice), c 0, d 0 (found, never given)
    accuracy, macro = class_scores(list("aabc"), list("abbd"), "here")
    assert (accuracy.name, accuracy.value, accuracy.unit, accuracy.higher_is_better) == ("accuracy", 50.0, "%", True)
    assert macro.value == pytest.approx(100 * (2 / 3 + 2 / 3) / 4)
    assert macro.signature.startswith("here; scikit-learn 1.")


def test_log_loss_by_hand():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], dtype=np.float32)
    score = log_loss(["z", "y"], probabilities, ["z", "x", "y"], "")
    assert score.value == pytest.approx(-(math.log(0.5) + math.log(0.7)) / 2, rel=1e-6)
    assert not score.higher_is_better
    assert log_loss(["z", "new"], probabilities, ["z", "x", "y"], "").value == math.inf
    assert log_loss(["z"], np.ones((1, 1)), ["z"], "").value == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_thresholds_are_the_best_of_all(seed):
    given, probabilities = labelled(seed, 60, 4)
    every = np.append(np.unique(probabilities), 2.0)
    chosen = choose_thresholds(given, probabilities, each=True)
    for k in range(3):
        tried = {t: f1(given[:, k], probabilities[:, k] >= t) for t in every}
        best = max(tried.values())
        assert chosen.values[k] == max(t for t, value in tried.items() if value > best - 1e-12)
    assert chosen.values[3] == 0.5

    alike = choose_thresholds(given, probabilities, each=False)
    tried = {t: f1(given, probabilities >= t) for t in every}
    assert len({*alike.values}) == 1 and tried[alike.values[0]] == pytest.approx(max(tried.values()))

    micro, macro = multilabel_scores(given, probabilities, chosen, "here")
    found = probabilities >= np.array(chosen.values)
    assert micro.value == pytest.approx(100 * f1(given, found))
    assert macro.value == pytest.approx(25 * sum(f1(given[:, k], found[:, k]) for k in range(4)))
    assert micro.signature.startswith(
        "here; a threshold for each label, of the greatest F1 on validation; scikit-learn"
    )
    assert "; one threshold for all labels" in multilabel_scores(given, probabilities, alike, "")[0].signature


def test_of_equal_thresholds_the_highest_is_chosen():
    # one of two found by one (2 / 3), or both by four (4 / 6)
    given, probabilities = np.array([[True], [False], [False], [True]]), np.array([[0.9], [0.5], [0.4], [0.1]])
    assert choose_thresholds(given, probabilities, each=True) == Thresholds((0.9,), True, ())


def test_of_calibrated_probabilities_the_threshold_is_half_of_the_f1():
    # of 100 cases with k per cent k are positive. Were k continuous, F1 would be (1 - t^2) / (1.5 - t), greatest at
    # t = (3 - sqrt(5)) / 2
    percents = np.repeat(np.arange(101), 100)
    given = np.tile(np.arange(100), 101) < percents
    chosen = choose_thresholds(given[:, None], percents[:, None] / 100, each=True)
    best = multilabel_scores(given[:, None], percents[:, None] / 100, chosen, "")[0].value / 100
    assert chosen.values[0] - 0.01 < best / 2 <= chosen.values[0]
    assert best == pytest.approx(3 - math.sqrt(5), abs=0.01) and chosen.all_cases == ()


def test_a_classifier_that_knows_nothing_gives_the_label_to_every_case():
    given = np.zeros((50, 2), dtype=bool)
    given[:10] = True
    probabilities = np.stack([np.full(50, 0.2), np.linspace(1, 0, 50)], axis=1)
    chosen = choose_thresholds(given, probabilities, each=True)
    assert chosen.all_cases == (0,) and chosen.values[0] == 0.2
    scores = multilabel_scores(given[:, :1], probabilities[:, :1], Thresholds(chosen.values[:1], True, (0,)), "")
    assert scores[0].value == pytest.approx(100 * 2 * 0.2 / (1 + 0.2))


def test_what_cannot_be_scored_is_refused():
    labels, half = np.ones((2, 2), dtype=bool), np.full((2, 2), 0.5)
    one = Thresholds((0.5,), True, ())
    for call, message in (
        (lambda: class_scores(["a"], [], ""), "got 0 for 1"),
        (lambda: class_scores([], [], ""), "at least one"),
        (lambda: log_loss(["a", "a"], half, ["a"], ""), r"\(N, 1\)"),
        (lambda: log_loss(["a", "a"], half + 0.1, ["a", "b"], ""), "sum to 1"),
        (lambda: choose_thresholds(labels, half[:1], each=True), "alike"),
        (lambda: choose_thresholds(labels.astype(int), half, each=True), "true or false"),
        (lambda: choose_thresholds(labels, half * np.nan, each=True), "finite"),
        (lambda: multilabel_scores(labels, half, one, ""), "2 labels is wanted, got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(BadInput, match=r"pip install 'recurra\[labelling\]'"):
        class_scores(["a"], ["a"], "")
