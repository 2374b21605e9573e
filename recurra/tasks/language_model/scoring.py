"""How well a model predicts a text."""

import hashlib
from typing import Any

import torch
from torch import nn

from recurra.data.token_file import Tokens
from recurra.data.tokens import Corpus
from recurra.data.windows import IGNORED, evaluation_rows
from recurra.metrics.likelihood import likelihood_scores
from recurra.metrics.score import Score

TOKENS_PER_ROW = 50_000
"""Longer texts are scored as several rows side by side; the context a row starts without costs it about a word."""


def negative_log_likelihood(model: Any, tokens: Tokens, *, rows: int) -> tuple[float, int]:
    """Nats of every token but the first, each predicted once with carried state, and how many they are."""
    device = next(model.parameters()).device
    nats, count, state = 0.0, 0, None
    with torch.no_grad():
        for inputs, targets in evaluation_rows(tokens, rows, steps=max(1, 1024 // rows)):
            hidden, state = model.hidden(inputs.to(device), state)
            nats += model.output.cross_entropy(hidden, targets.to(device)).item()
            count += int((targets != IGNORED).sum())
    return nats, count


def evaluate(model: nn.Module, corpus: Corpus, part: str) -> list[Score]:
    """Scores of one part of the text ("dev", "test"), all of it."""
    tokens: Tokens = getattr(corpus, part)
    rows = max(1, -(-len(tokens) // TOKENS_PER_ROW))
    training = model.training
    model.eval()
    nats, count = negative_log_likelihood(model, tokens, rows=rows)
    model.train(training)
    return likelihood_scores(nats, count, characters(corpus, part), signature(corpus, part, f"rows={rows}"))


def signature(corpus: Corpus, part: str, settings: str) -> str:
    """What a score was measured on, and how."""
    digest = hashlib.sha256("".join(corpus.hashes.values()).encode()).hexdigest()[:8]
    vocabulary = f"vocabulary={len(corpus.vocabulary)} {corpus.vocabulary.unit}"
    return f"{part}|data={digest}|{vocabulary}|tokens={len(getattr(corpus, part)) - 1}|state carried|{settings}"


def characters(corpus: Corpus, part: str) -> int | None:
    """The characters that the predicted tokens spell; None where tokens do not spell the whole text."""
    if corpus.vocabulary.unit not in ("characters", "bytes", "bpe"):
        return None
    first = getattr(corpus, part)[0:1]
    return corpus.characters[part] - len(corpus.vocabulary.decode(first))
