"""How well tags are found."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from recurra.data.buckets import by_length
from recurra.data.token_store import Labels, Part
from recurra.metrics.score import Score
from recurra.metrics.spans import span_f1
from recurra.models.tagger import Sentences, Tagger
from recurra.tasks.tagging.known import Encoder, Known

MOST_STEPS = 20_000
BATCH = 64
READ_AT_ONCE = 50 * BATCH
"""Sentences sorted by length together, so that a batch pads little."""

Tag = Callable[[Sequence[str]], list[str]]


class Data(NamedTuple):
    """Sentences in their parts, and what is known of the training part."""

    labels: Labels
    known: Known


class Answer(NamedTuple):
    """One sentence: its words, and the tags given and found, in the form in which they are written."""

    words: list[str]
    given: list[str]
    found: list[str]


def tag_rows(model: Tagger, encoder: Encoder, known: Known, rows: Sequence[np.ndarray]) -> list[list[str]]:
    """The best tags of sentences, as they are written, in the order given."""
    device = next(model.parameters()).device
    found: list[list[str]] = [[] for _ in rows]
    for numbers in by_length([len(row) for row in rows], BATCH, MOST_STEPS):
        given = encoder.sentences([rows[number] for number in numbers])
        best = model.best(Sentences(*(each.to(device) for each in given))).tolist()
        for number, tags in zip(numbers, best, strict=True):
            found[number] = known.written([known.tags.names[tag] for tag in tags[: len(rows[number])]])
    return found


def answers(model: Tagger, data: Data, part: Part) -> Iterator[Answer]:
    """What the model says of every sentence of a part, in order."""
    encoder = Encoder(data.known, part.kinds)
    training = model.training
    model.eval()
    for begin in range(0, len(part), READ_AT_ONCE):
        numbers = range(begin, min(begin + READ_AT_ONCE, len(part)))
        found = tag_rows(model, encoder, data.known, [part[number] for number in numbers])
        for number, tags in zip(numbers, found, strict=True):
            yield Answer(part.words(number), data.known.written(part.tags(number)), tags)
    model.train(training)


def answers_of(tag: Tag, data: Data, part: Part) -> Iterator[Answer]:
    """The same of a tagger that reads words alone."""
    for number in range(len(part)):
        words = part.words(number)
        yield Answer(words, data.known.written(part.tags(number)), data.known.written(tag(words)))


def score(found: Sequence[Answer], data: Data, part: str, settings: str = "") -> list[Score]:
    """The scores of answers: F1 of spans first, where tags mark some; how many tags are right, of all, of new words."""
    known = data.known
    mark = signature(data, part) + (f"|{settings}" if settings else "")
    right = np.concatenate([np.equal(one.given, one.found) for one in found])
    new = np.concatenate([[known.form(word) not in known.words for word in one.words] for one in found])
    scores = [Score("accuracy", _percent(right), "%", True, mark)]
    if new.any():
        scores.append(Score("accuracy of new words", _percent(right[new]), "%", True, f"{mark}|new words={new.sum()}"))
    whole = np.array([one.given == one.found for one in found])
    scores.append(Score("whole sentences", _percent(whole), "%", True, mark))
    if known.marks:
        total = span_f1([one.given for one in found], [one.found for one in found])[""]
        values = {"F1": total.f1, "precision": total.precision, "recall": total.recall}
        mark += f"|spans={total.given}, conlleval's rules"
        scores = [Score(f"span {name}", value, "%", True, mark) for name, value in values.items()] + scores
    return scores


def evaluate(model: Tagger, data: Data, part: str) -> list[Score]:
    """Scores on one part of the sentences ("dev", "test"), all of it."""
    with torch.no_grad():
        return score(list(answers(model, data, getattr(data.labels, part))), data, part)


def signature(data: Data, part: str) -> str:
    """What a score was measured on, and how."""
    sentences: Part = getattr(data.labels, part)
    digest = hashlib.sha256("".join(data.labels.hashes.values()).encode()).hexdigest()[:8]
    numbers = f"sentences={len(sentences)}|tokens={sentences.lengths.sum()}"
    return f"{part}|data={digest}|{data.known.layout.name}|{numbers}"


def _percent(right: np.ndarray) -> float:
    return 100 * float(right.mean())
