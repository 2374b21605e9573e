"""Small models to search, and what plain Python finds by enumerating all they can say."""

import math
from collections import namedtuple
from typing import NamedTuple

import torch
from torch import Tensor

END = 0
Found = namedtuple("Found", "tokens log_probability score")


class Memory(NamedTuple):
    encoded: Tensor  # (B, S, H)
    lengths: Tensor  # (B,)


class Decoder(NamedTuple):
    layers: tuple[tuple[Tensor], dict[str, Tensor]]  # two layers, nested unlike each other
    memory: Memory
    attention: Tensor  # (B, S)


class Translator:
    """Two tanh layers and attention over a memory; float64, random weights."""

    def __init__(self, vocabulary: int = 4, size: int = 3, seed: int = 0, sharpness: float = 2.0) -> None:
        drawn = torch.Generator().manual_seed(seed)
        shapes = [(vocabulary, size), (size, size), (size, size), (size, size), (2 * size, vocabulary)]
        self.embedding, self.first, self.second, self.query, self.output = (
            sharpness * torch.randn(shape, generator=drawn, dtype=torch.float64) for shape in shapes
        )
        self.rows: list[int] = []  # of every step

    def start(self, sources: int, seed: int = 0, positions: int = 5) -> Decoder:
        drawn = torch.Generator().manual_seed(seed)
        size = self.first.shape[0]
        encoded = torch.randn((sources, positions, size), generator=drawn, dtype=torch.float64)
        lengths = torch.arange(sources) % positions + 1
        hidden = encoded.sum(1)
        return Decoder(((hidden,), {"h": -hidden}), Memory(encoded, lengths), torch.zeros_like(encoded[..., 0]))

    def step(self, tokens: Tensor, state: Decoder) -> tuple[Tensor, Decoder]:
        self.rows.append(len(tokens))
        ((first,), named), (encoded, lengths), _ = state
        first = torch.tanh(self.embedding[tokens] + first @ self.first)
        second = torch.tanh(first + named["h"] @ self.second)
        energy = (encoded @ self.query @ second.unsqueeze(2)).squeeze(2)
        outside = torch.arange(encoded.shape[1]) >= lengths.unsqueeze(1)
        attention = energy.masked_fill(outside, -torch.inf).softmax(1)
        context = (attention.unsqueeze(1) @ encoded).squeeze(1)
        logits = torch.cat([second, context], dim=1) @ self.output
        return logits, Decoder(((first,), {"h": second}), Memory(encoded, lengths), attention)


def log_softmax(row: list[float]) -> list[float]:
    high = max(row)
    total = high + math.log(math.fsum(math.exp(value - high) for value in row))
    return [value - total for value in row]


class Options(NamedTuple):
    """Of one source."""

    maximum: int = 4
    minimum: int = 1
    divisor: object = lambda length: 1.0
    beta: float = 0.0
    banned: object = lambda position: ()
    prefix: tuple[int, ...] = ()


class Partial(NamedTuple):
    tokens: list[int]
    log_probability: float
    paid: list[float]
    state: object


def extensions(step, before: Partial, options: Options) -> list[Partial]:
    """By one token each, smallest token first; the step sees one row."""
    token = torch.tensor(before.tokens[-1:] or [END])
    logits, state = step(token, before.state)
    logs, position = log_softmax(logits[0].tolist()), len(before.tokens)
    paid = [a + b for a, b in zip(before.paid, state.attention[0].tolist(), strict=True)]
    if position < len(options.prefix):
        allowed = [options.prefix[position]]
    else:
        forbidden = {*options.banned(position), *([END] if position + 1 < options.minimum else [])}
        allowed = [token for token in range(len(logs)) if token not in forbidden and logs[token] > -math.inf]
    return [Partial([*before.tokens, new], before.log_probability + logs[new], paid, state) for new in allowed]


def closed(hypothesis: Partial, options: Options) -> bool:
    return hypothesis.tokens[-1] == END or len(hypothesis.tokens) == options.maximum


def ranked(hypotheses: list[Partial], options: Options) -> list[Found]:
    """The best first; of equals the one that comes first."""
    results = []
    for tokens, log_probability, paid, state in hypotheses:
        seen = paid[: int(state.memory.lengths[0])]
        cover = options.beta * sum(math.log(min(value, 1.0)) for value in seen) if options.beta else 0.0
        results.append(Found(tokens, log_probability, log_probability / options.divisor(len(tokens)) + cover))
    return sorted(results, key=lambda found: -found.score)


def begin(state) -> Partial:
    return Partial([], 0.0, [0.0] * state.attention.shape[1], state)


def everything(step, state, options: Options) -> list[Found]:
    """All hypotheses of a state with one row."""
    complete, growing = [], [begin(state)]
    while growing:
        grown = [new for old in growing for new in extensions(step, old, options)]
        complete += [new for new in grown if closed(new, options)]
        growing = [new for new in grown if not closed(new, options)]
    return ranked(complete, options)


def narrow_search(step, state, options: Options, beam: int) -> list[Found]:
    """A beam without early stopping: the likeliest extensions of each step, until none is open."""
    complete, growing = [], [begin(state)]
    while growing:
        grown = [new for old in growing for new in extensions(step, old, options)]
        grown = sorted(grown, key=lambda partial: -partial.log_probability)[:beam]
        complete += [new for new in grown if closed(new, options)]
        growing = [new for new in grown if not closed(new, options)]
    return ranked(complete, options)
