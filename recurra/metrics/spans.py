"""Spans of tokens that tags mark (names, chunks), and how many of them were found."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from recurra.errors import BadInput

MARKS = "BIESO"


class Span(NamedTuple):
    """The tokens from ``begin`` up to ``end``, that one excluded."""

    label: str
    begin: int
    end: int


class Found(NamedTuple):
    """Precision, recall and F1 of spans, in percent, with their numbers: given, found, and both."""

    precision: float
    recall: float
    f1: float
    given: int
    found: int
    correct: int


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans that tags mark by B-, I-, E- (end), S- (single) and O.

    What is not well formed is read as ``conlleval`` reads it: an I- or E- that nothing of its label comes before begins
    a span, and a span ends where another label, a B-, an S- or an O comes; a B- without an E- is as good as one with.

    Raises:
        BadInput: a tag that is none of these.

    Source: Tjong Kim Sang and Buchholz (2000), CoNLL-2000, and its scorer.
    """
    found, begin = [], 0
    before = ("O", "")
    for place, tag in enumerate([*tags, "O"]):
        here = split_tag(tag)
        if before[0] != "O" and _ends(before, here):
            found.append(Span(before[1], begin, place))
        if here[0] != "O" and (before[0] == "O" or _ends(before, here)):
            begin = place
        before = here
    return found


def marked(found: Iterable[Span], length: int, *, ends: bool) -> list[str]:
    """The tags of a sentence of ``length`` tokens that mark spans which do not overlap.

    Args:
        ends: mark the last tokens of spans too, and single ones (BIOES); else only their beginnings (BIO).
    """
    tags = ["O"] * length
    for label, begin, end in found:
        tags[begin:end] = [f"B-{label}", *[f"I-{label}"] * (end - begin - 1)]
        if ends and end - begin == 1:
            tags[begin] = f"S-{label}"
        elif ends:
            tags[end - 1] = f"E-{label}"
    return tags


def may_follow(before: str, tag: str, *, ends: bool) -> bool:
    """Whether ``tag`` is well formed after ``before``, in BIOES (``ends``) or BIO; a sentence lies between two O."""
    (last, label), (mark, own) = split_tag(before), split_tag(tag)
    inside = last in ("B", "I") and own == label and mark in ("I", "E")
    if ends:
        return inside or (last in ("O", "E", "S") and mark in ("O", "B", "S"))
    return inside or mark in ("O", "B")


def split_tag(tag: str) -> tuple[str, str]:
    """Its mark and its label; O has none.

    Raises:
        BadInput: it is not one.
    """
    mark, _, label = tag.partition("-")
    if mark not in tuple(MARKS) or (mark == "O") != (label == ""):
        raise BadInput(f"{tag!r} is no tag of spans (B-, I-, E-, S- and a label, or O); score it as a plain tag")
    return mark, label


def span_f1(given: Iterable[Sequence[str]], found: Iterable[Sequence[str]]) -> dict[str, Found]:
    """How many spans were found with both ends and the label right, over all sentences: by label, and of all under "".

    Raises:
        BadInput: a tag that marks no span; sentences of different lengths.
    """
    wanted, got, correct = Counter[str](), Counter[str](), Counter[str]()
    for one, other in zip(given, found, strict=True):
        if len(one) != len(other):
            raise BadInput(f"a sentence has {len(one)} tags and {len(other)} were predicted; give both for each token")
        true, claimed = {*spans(one)}, {*spans(other)}
        for counts, marked in ((wanted, true), (got, claimed), (correct, true & claimed)):
            for span in marked:
                counts[span.label] += 1
                counts[""] += 1
    return {label: _score(wanted[label], got[label], correct[label]) for label in sorted({"", *wanted, *got})}


def _ends(before: tuple[str, str], here: tuple[str, str]) -> bool:
    """Whether the span that the tag ``before`` belongs to has ended ``here``."""
    return before[0] in "ES" or here[0] in "BSO" or before[1] != here[1]


def _score(given: int, found: int, correct: int) -> Found:
    precision = 100 * correct / found if found else 0.0
    recall = 100 * correct / given if given else 0.0
    f1 = 200 * correct / (given + found) if given + found else 0.0
    return Found(precision, recall, f1, given, found, correct)
