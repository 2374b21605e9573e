"""How the network of a run computes a sequence: the loop of every layer, and what is computed around them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import nn

from recurra.layers.recurrent import Recurrent
from recurra.models.encoder_decoder import Decoder

if TYPE_CHECKING:
    from recurra.tasks.run import Run


def explain_run(run: "Run") -> list[tuple[str, str]]:
    """Parts of the network by their names, and how each runs; layers that run alike are one part."""
    found: dict[str, list[str]] = {}
    for name, part in run.model.named_modules():
        if isinstance(part, Recurrent):
            found.setdefault(part.explain().text, []).append(name)
    layers = [(", ".join(names), text) for text, names in found.items()]
    return layers + [(name, text) for name, part in run.model.named_modules() for text in _around(part)]


def _around(part: nn.Module) -> Iterator[str]:
    """What a decoder computes outside its layers."""
    if not isinstance(part, Decoder):
        return
    if part.attention is None:
        yield "no attention: all steps of a batch are one call of the layers when they are given (teacher forcing)"
        return
    keys = "Once for each source, before any step: the keys of its places"
    if part.waits:
        why = "reads what was attended to a step before" if part.feeding else "goes by what was attended to before"
        every = "the layers' step, the scores of all places, their mean, and the vector made of both"
        yield f"every step waits, because it {why}\n  {keys}.\n  Step by step: {every}.\n  After all: the softmax."
        return
    yield (
        "attention stands outside the loop: no layer waits for it\n"
        f"  {keys}.\n"
        "  For all steps at once, after the layers: the scores of all places, their means, the vectors, the softmax.\n"
        "  While it writes, step by step: the same, of one step."
    )
