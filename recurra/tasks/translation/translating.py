"""Texts through a model: what it writes for each, in batches of like lengths."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from recurra.data.buckets import by_length
from recurra.decoding.beam import beam_search
from recurra.decoding.greedy import greedy
from recurra.decoding.growth import Growth
from recurra.decoding.hypothesis import Hypothesis
from recurra.models.translator import Translator
from recurra.tasks.translation.batches import padded
from recurra.tasks.translation.reading import BOUNDARY
from recurra.tasks.translation.search import Search

STEPS = 12_000
"""Most tokens of all hypotheses' sources in a batch; more gain nothing and take memory."""

SPARE = 10
"""Tokens that a translation may have besides twice those of its source: none goes on without end."""


def shortened(source: np.ndarray, longest: int) -> np.ndarray:
    """At most ``longest`` first tokens of a source, and the boundary at its end."""
    return source if len(source) <= longest + 1 else np.append(source[:longest], source[-1:])


@torch.no_grad()
def translate(
    model: Translator,
    sources: Sequence[np.ndarray],
    search: Search,
    watch: Callable[[Growth], object] = lambda growth: None,
) -> list[list[Hypothesis]]:
    """The translations of each source, the best first.

    Args:
        sources: tokens with the boundary at their end.
        watch: is shown what each step of a beam search kept.
    """
    found: list[list[Hypothesis]] = [[] for _ in sources]
    lengths = [len(source) for source in sources]
    rows = max(1, 320 // search.beam)
    for numbers in reversed(by_length(lengths, rows, max(1, STEPS // search.beam))):
        hypotheses = _translate_batch(model, [sources[number] for number in numbers], search, watch)
        for number, best in zip(numbers.tolist(), hypotheses, strict=True):
            found[number] = best
    return found


def _translate_batch(
    model: Translator, sources: list[np.ndarray], search: Search, watch: Callable[[Growth], object]
) -> list[list[Hypothesis]]:
    device = next(model.parameters()).device
    source, lengths = (each.to(device) for each in padded(sources))
    state = model.begin(source, lengths)
    start = torch.full_like(lengths, BOUNDARY)
    most = 2 * lengths + SPARE
    if search.beam == 1:
        return [[each] for each in greedy(model.step, start, state, end=BOUNDARY, maximum=most)]
    return beam_search(
        model.step,
        start,
        state,
        beam=search.beam,
        end=BOUNDARY,
        maximum=most,
        n_best=search.n_best,
        penalty=search.penalty,
        watch=watch,
    )
