"""How well a part is translated."""

import hashlib
import math
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from recurra.data.buckets import by_length
from recurra.metrics.score import Score
from recurra.metrics.translation import meteor, translation_scores
from recurra.models.translator import Translator
from recurra.tasks.translation.batches import batch
from recurra.tasks.translation.reading import Pairs, Part, Side, plain
from recurra.tasks.translation.search import Search
from recurra.tasks.translation.translating import shortened, translate

ROWS, STEPS = 64, 8_000
"""Pairs, and tokens, of a batch whose loss is taken."""


class Answer(NamedTuple):
    """A source, its translation by a person, and that by the model."""

    source: str
    wanted: str
    found: str


def answers(model: Translator, data: Pairs, part: Part, search: Search) -> list[Answer]:
    """What the model makes of every source of a part, in order; nothing of an empty one."""
    sources = [shortened(part.pair(number)[0], data.sides.source.longest) for number in range(len(part))]
    full = [number for number, source in enumerate(sources) if len(source) > 1]
    texts = [""] * len(sources)
    for number, best in zip(full, translate(model, [sources[number] for number in full], search), strict=True):
        texts[number] = data.sides.target.decode(best[0].tokens)
    return [Answer(*pair, text) for pair, text in zip(texts_of(part, data.sides.target), texts, strict=True)]


def texts_of(part: Part, target: Side) -> Iterator[tuple[str, str]]:
    """The source of each pair, and its translation as the model is to write it."""
    for row in part.rows.tolist():
        pair = part.store[row]
        yield pair.source, plain(pair.target, target.lower)


def score(found: Sequence[Answer], data: Pairs, part: str, settings: str) -> list[Score]:
    """The scores of answers, BLEU first."""
    mark = f"{signature(data, part)}|{settings}"
    texts = [one.found for one in found], [one.wanted for one in found]
    return [*translation_scores(*texts, mark), meteor(*texts, mark, data.language)]


def evaluate(model: Translator, data: Pairs, part: str) -> list[Score]:
    """Scores on one part ("dev", "test"), all of it, BLEU first, and how probable the model finds the references."""
    own: Part = getattr(data, part)
    longest = data.sides.source.longest
    if cut := int((own.source.lengths[own.rows] > longest + 1).sum()):
        print(f"{part} part: of {cut:,} sources only the first {longest:,} tokens are read", file=sys.stderr)
    found = answers(model, data, own, data.search)
    return [*score(found, data, part, str(data.search)), perplexity(model, data, part)]


def perplexity(model: Translator, data: Pairs, part: str) -> Score:
    """Of the references, token by token, each after those before it."""
    own: Part = getattr(data, part)
    value = math.exp(min(nats(model, own), 700.0))
    tokens = f"tokens={int(own.target.lengths[own.rows].sum())}|{data.sides.target.fingerprint[:8]}"
    return Score("perplexity", value, "per token", False, f"{signature(data, part)}|{tokens}")


@torch.no_grad()
def nats(model: Translator, part: Part) -> float:
    """The mean of -log P of the targets' tokens."""
    device = next(model.parameters()).device
    total, count = 0.0, 0
    for numbers in by_length(part.lengths, ROWS, STEPS):
        given = batch([part.pair(number) for number in numbers.tolist()])
        total += float(model.loss(*(each.to(device) for each in given[:5])))
        count += int(given.lengths.sum())
    return total / count


def signature(data: Pairs, part: str) -> str:
    """What a score was measured on."""
    digest = hashlib.sha256("".join(data.hashes.values()).encode()).hexdigest()[:8]
    return f"{part}|data={digest}|sentences={len(getattr(data, part))}"
