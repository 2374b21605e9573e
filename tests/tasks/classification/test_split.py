"""Cutting a part off: shares of the classes, and what is never cut."""

from collections import Counter

import numpy as np
import pytest

from recurra.tasks.classification.split import cut


def test_every_class_keeps_its_share_and_its_last_case():
    labels = [("a",)] * 100 + [("b",)] * 30 + [("c",)] * 4 + [("d",)] * 2 + [("e",)]
    stayed, off = cut(labels, np.arange(len(labels)), 0.1, seed=0)
    assert Counter(labels[row][0] for row in off) == {"a": 10, "b": 3, "c": 1, "d": 1}
    assert sorted([*stayed, *off]) == list(range(len(labels)))
    assert list(stayed) == sorted(stayed) and list(off) == sorted(off)


def test_a_second_cut_takes_from_what_stayed():
    labels = [(str(number % 3),) for number in range(90)]
    stayed, test = cut(labels, np.arange(90), 0.1, seed=0)
    left, dev = cut(labels, stayed, 0.1, seed=0)
    assert sorted([*left, *dev, *test]) == list(range(90))
    assert [len(part) for part in (left, dev, test)] == [72, 9, 9]


def test_the_draw_is_the_seeds():
    labels = [("a",), ("b",)] * 50
    first, again, other = (cut(labels, np.arange(100), 0.2, seed=seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize("labels", [[("x", "rare"), ("x",), ("x",), ("x", "rare"), ("x",), ("x",)]])
def test_a_case_of_several_labels_goes_with_its_rarest(labels):
    _, off = cut(labels, np.arange(6), 0.5, seed=0)
    assert Counter("rare" in labels[row] for row in off) == {True: 1, False: 2}


def test_a_case_without_labels_is_of_a_class_of_its_own():
    _, off = cut([()] * 10 + [("a",)] * 10, np.arange(20), 0.2, seed=0)
    assert sorted(row < 10 for row in off) == [False, False, True, True]
