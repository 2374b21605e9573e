"""Another system's candidates, scored and sorted."""

import math
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
    """A line: a source, one of its translations, and columns behind them, the first of which is the other system's
    log-probability."""

    source: str
    text: str
    rest: tuple[str, ...]
    place: str

    @property
    def score(self) -> float | None:
        """What the other system thinks of it, where it says so."""
        return float(self.rest[0]) if self.rest else None


def rerank(run: "Run", source: str) -> Iterator[str]:
    """Each line again with the model's score behind it, those of a source together, the best first.

    A line is a source, a tab and a candidate; candidates of a source follow on each other. Where a third column has
    the other system's log-probability, candidates are sorted by the mean of both, as Sutskever et al. did; else by the
    model's alone. A model's score is log P of the candidate given the source, in nats.

    Args:
        source: a file, or "-" for standard input.

    Raises:
        BadInput: a line without a tab, or a third column that is no number, or that other lines of the source lack.

    Source: Sutskever, Vinyals and Le (2014), arXiv:1409.3215, section 3.2.
    """
    sides = Sides.load(run.path, run.config)
    for _, group in groupby(_candidates(source), key=lambda candidate: candidate.source):
        candidates = list(group)
        if odd := next((one for one in candidates if bool(one.rest) != bool(candidates[0].rest)), None):
            raise BadInput(
                f"{odd.place}: either all lines of a source have a third column or none has; add or remove it"
            )
        scores = log_probabilities(run.model, sides, [(one.source, one.text) for one in candidates])
        order = sorted(range(len(candidates)), key=lambda number: -_mean(candidates[number].score, scores[number]))
        for number in order:
            one = candidates[number]
            yield "\t".join([one.source, one.text, *one.rest, f"{scores[number]:.6g}"]) + "\n"


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
        place = f"{name}: line {number}"
        text, *rest = composed(line).split("\t")
        if not rest:
            raise BadInput(f"{place} has no tab; write a source, a tab and a candidate")
        if len(rest) > 1 and not _is_number(rest[1]):
            raise BadInput(f"{place}: {rest[1]!r} is no number; the third column is the other system's score")
        yield Candidate(text, rest[0], tuple(rest[1:]), place)


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False
