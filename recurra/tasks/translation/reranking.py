"""Another system's candidates, scored and sorted."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import torch

from recurra.data.buckets import by_length
from recurra.data.lines import lines_of
from recurra.data.parallel import composed
from recurra.errors import BadInput
from recurra.models.translator import Translator
from recurra.tasks.translation.batches import batch
from recurra.tasks.translation.reading import Sides
from recurra.tasks.translation.scoring import ROWS, STEPS

if TYPE_CHECKING:
    from recurra.tasks.run import Run


class Candidate(NamedTuple):
    """A line: a source, one of its translations, and what the other system thinks of it, a log-probability."""

    source: str
    text: str
    score: float | None


def rerank(run: "Run", source: str) -> Iterator[str]:
    """Each candidate with the model's score behind it, those of a source together, the best first.

    A line is a source, a tab and a candidate; candidates of a source follow on each other. Where a third column has
    the other system's log-probability, candidates are sorted by the mean of both, as Sutskever et al. did; else by the
    model's alone. A model's score is log P of the candidate given the source, in nats.

    Args:
        source: a file, or "-" for standard input.

    Raises:
        BadInput: a line without a tab, or a third column that is no number.

    Source: Sutskever, Vinyals and Le (2014), arXiv:1409.3215, section 3.2.
    """
    sides = Sides.load(run.path, run.config)
    for _, group in groupby(_candidates(source), key=lambda candidate: candidate.source):
        candidates = list(group)
        scores = log_probabilities(run.model, sides, [(one.source, one.text) for one in candidates])
        order = sorted(range(len(candidates)), key=lambda number: -_mean(candidates[number].score, scores[number]))
        for number in order:
            one = candidates[number]
            given = [] if one.score is None else [f"{one.score:g}"]
            yield "\t".join([one.source, one.text, *given, f"{scores[number]:.6g}"]) + "\n"


@torch.no_grad()
def log_probabilities(model: Translator, sides: Sides, candidates: Sequence[tuple[str, str]]) -> list[float]:
    """log P of each target given its source."""
    device = next(model.parameters()).device
    pairs = [(sides.source.encode(source), sides.target.encode(target)) for source, target in candidates]
    found = [0.0] * len(pairs)
    for numbers in by_length([max(map(len, pair)) for pair in pairs], ROWS, STEPS):
        given = batch([pairs[number] for number in numbers.tolist()])
        values = model.log_probabilities(*(each.to(device) for each in given[:5])).tolist()
        for number, value in zip(numbers.tolist(), values, strict=True):
            found[number] = value
    return found


def _mean(other: float | None, own: float) -> float:
    return own if other is None else (other + own) / 2


def _candidates(source: str) -> Iterator[Candidate]:
    name, lines = lines_of(source)
    for number, line in lines:
        if not line.strip():
            continue
        text, *rest = composed(line).split("\t")
        if not rest:
            raise BadInput(f"{name}: line {number} has no tab; write a source, a tab and a candidate")
        try:
            score = float(rest[1]) if len(rest) > 1 else None
        except ValueError as error:
            raise BadInput(
                f"{name}: line {number}: {rest[1]!r} is no number; the third column is the other system's score"
            ) from error
        yield Candidate(text, rest[0], score)
