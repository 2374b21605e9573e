"""Spans beside the rules of the shared task's own scorer, written as they stand there."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import BadInput
from recurra.metrics.spans import Span, marked, may_follow, span_f1, spans

TAGS = st.sampled_from([*(f"{mark}-{label}" for mark in "BIES" for label in ("x", "y")), "O"])


def conlleval(tags):
    """The ends and starts of chunks by the tables of ``conlleval``."""
    ends = {("E", mark) for mark in "BIESO"} | {("S", mark) for mark in "BIESO"}
    ends |= {(before, here) for before in "BI" for here in "BSO"}
    starts = {(before, here) for before in "BIESO" for here in "BS"} | {(b, h) for b in "ESO" for h in "EI"}
    found, begin, before = [], 0, "O"
    for place, tag in enumerate([*tags, "O"]):
        other = before[2:] != tag[2:]
        if (before[0], tag[0]) in ends or (before != "O" and other):
            if before != "O":
                found.append((before[2:], begin, place))
        if (before[0], tag[0]) in starts or (tag != "O" and other):
            begin = place
        before = tag
    return found


@given(st.lists(TAGS, max_size=12))
def test_any_tags_are_read_as_the_scorer_reads_them(tags):
    assert spans(tags) == conlleval(tags)


def test_well_formed_tags():
    assert spans("B-x I-x O S-y B-x E-x".split()) == [Span("x", 0, 2), Span("y", 3, 4), Span("x", 4, 6)]
    assert spans("O I-x I-y".split()) == [Span("x", 1, 2), Span("y", 2, 3)]


def test_f1_by_hand():
    given_tags = ["B-x I-x O B-y".split(), "B-x O".split()]
    found_tags = ["B-x I-x O B-x".split(), "O O".split()]
    scores = span_f1(given_tags, found_tags)
    assert scores[""] == pytest.approx((50.0, 100 / 3, 40.0, 3, 2, 1))
    assert scores["x"] == pytest.approx((50.0, 50.0, 50.0, 2, 2, 1))
    assert scores["y"] == (0.0, 0.0, 0.0, 1, 0, 0)


@pytest.mark.parametrize("tag", ["NN", "B", "O-x", "b-x", ""])
def test_other_tags_are_refused(tag):
    with pytest.raises(BadInput, match="is no tag of spans"):
        spans([tag])


def test_sentences_of_other_lengths_are_refused():
    with pytest.raises(BadInput, match="2 tags and 1 were predicted"):
        span_f1([["O", "O"]], [["O"]])


def test_marks_by_hand():
    found = [Span("x", 0, 3), Span("y", 4, 5), Span("x", 5, 7)]
    assert marked(found, 8, ends=False) == "B-x I-x I-x O B-y B-x I-x O".split()
    assert marked(found, 8, ends=True) == "B-x I-x E-x O S-y B-x E-x O".split()


@given(st.lists(TAGS, max_size=12), st.booleans())
def test_what_is_marked_is_read_back_and_well_formed(tags, ends):
    again = marked(spans(tags), len(tags), ends=ends)
    assert spans(again) == spans(tags)
    assert all(may_follow(*pair, ends=ends) for pair in zip(["O", *again], [*again, "O"], strict=True))


@pytest.mark.parametrize("ends", [False, True])
def test_tags_may_follow_each_other_where_marking_would_put_them_so(ends):
    """Every tagging of three tokens is well formed, or marking its spans anew changes it."""
    labels = [f"{mark}-{label}" for mark in ("BIES" if ends else "BI") for label in "xy"] + ["O"]
    for tags in product(labels, repeat=3):
        formed = all(may_follow(*pair, ends=ends) for pair in zip(("O", *tags), (*tags, "O"), strict=True))
        assert formed == (marked(spans(tags), 3, ends=ends) == list(tags))
