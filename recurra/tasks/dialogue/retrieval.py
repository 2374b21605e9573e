"""Answers chosen among candidates instead of written: each by its probability after what was said."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recurra.data.buckets import by_length
from recurra.data.dialogues import dialogue_of, history
from recurra.data.lines import json_of, lines_of
from recurra.errors import BadInput
from recurra.models.translator import Translator
from recurra.recurrence.state import select
from recurra.tasks.dialogue.reading import load_sides
from recurra.tasks.translation.batches import batch, padded
from recurra.tasks.translation.scoring import ROWS, STEPS

if TYPE_CHECKING:
    from recurra.tasks.run import Run

WANTED = 'write {"turns": [...], "candidates": ["...", ...]}'


def rerank(run: "Run", source: str) -> Iterator[str]:
    """Each line again, its candidates with log P given what was said, in nats, the likeliest first.

    Args:
        source: a file of JSON lines with ``turns``, as conversations have them, and ``candidates``, a list of texts;
            or "-" for standard input.

    Raises:
        BadInput: a line that is none of these, or a speaker that training did not see.
    """
    sides = load_sides(run.path, run.config)
    for place, record in _lines(source):
        turns = dialogue_of(record, place).turns
        texts = record.get("candidates")
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise BadInput(f"{place} has no candidates; {WANTED}")
        try:
            read = sides.source.encode(history(turns))
        except BadInput as error:
            raise BadInput(f"{place}: {error}") from error
        found = log_probabilities(run.model, read, [sides.target.encode(text) for text in texts])
        order = sorted(range(len(texts)), key=lambda number: -found[number])
        best = [{"text": texts[number], "log_probability": round(found[number], 4)} for number in order]
        yield json.dumps({**record, "candidates": best}, ensure_ascii=False) + "\n"


@torch.no_grad()
def log_probabilities(model: Translator, read: np.ndarray, candidates: Sequence[np.ndarray]) -> list[float]:
    """log P of each candidate; what was said is read once for all of them."""
    device = next(model.parameters()).device
    begin = model.begin(*(each.to(device) for each in padded([read])))
    found = [0.0] * len(candidates)
    for numbers in by_length([len(candidate) for candidate in candidates], ROWS, STEPS):
        rows = select(begin, torch.zeros(len(numbers), dtype=torch.int64, device=device))
        _, _, *given = batch([(read[:1], candidates[number]) for number in numbers.tolist()])[:5]
        values = model.continuations(rows, *(each.to(device) for each in given)).tolist()
        for number, value in zip(numbers.tolist(), values, strict=True):
            found[number] = value
    return found


def _lines(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    name, lines = lines_of(source)
    for number, line in lines:
        if not line.strip():
            continue
        place = f"{name}: line {number}"
        try:
            record = json_of(line)
        except ValueError as error:
            raise BadInput(f"{place} is no JSON ({error}); {WANTED}") from error
        if not isinstance(record, dict) or not isinstance(record.get("turns"), list) or not record["turns"]:
            raise BadInput(f"{place} is no conversation; {WANTED}")
        yield place, record
