"""Ancestral sampling: one token after another, each drawn from the model's distribution."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recurra.recurrence.state import State

Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""``(tokens (B,), state) -> (logits (B, V), state)``."""


def narrow(
    logits: Float[Tensor, "B V"], *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Float[Tensor, "B V"]:
    """The probabilities to draw from.

    Args:
        logits: scores before the softmax.
        temperature: divides the scores; below 1 the likely becomes likelier, 0 leaves only the likeliest.
        top_k: only the k likeliest tokens.
        top_p: only the likeliest tokens that together reach this probability (Holtzman et al. 2020), after ``top_k``.

    Raises:
        ValueError: a value outside its range.
    """
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError(f"need temperature >= 0, top_k >= 1, 0 < top_p <= 1, got {temperature}, {top_k}, {top_p}")
    if temperature < torch.finfo(logits.dtype).tiny:  # 0, or nothing to divide by
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    logits = (logits - logits.amax(-1, keepdim=True)) / temperature  # the largest is 0, however low the temperature
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ordered[:, top_k:] = -torch.inf
    probabilities = ordered.softmax(-1)
    if top_p is not None:
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= top_p, 0.0)
    return torch.zeros_like(probabilities).scatter(-1, order, probabilities / probabilities.sum(-1, keepdim=True))


def sample(
    step: Step,
    tokens: Int[Tensor, " B"],
    state: State,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Int[Tensor, " B"]]:
    """Draw tokens without end, from after ``tokens`` on; the same generator state gives the same tokens.

    Raises:
        ValueError: see :func:`narrow`.
    """
    while True:
        logits, state = step(tokens, state)
        probabilities = narrow(logits.float(), temperature=temperature, top_k=top_k, top_p=top_p)
        tokens = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
        yield tokens
