"""Text from a trained language model, as it comes."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from recurra.data.vocabulary import Vocabulary, load_vocabulary
from recurra.decoding import sampling
from recurra.recurrence.state import State

if TYPE_CHECKING:
    from recurra.tasks.run import Run


def sample(
    run: "Run",
    *,
    prompt: str = "",
    length: int = 500,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop: str | None = None,
    seed: int | None = None,
) -> Iterator[str]:
    """Pieces of text that follow ``prompt``.

    Args:
        prompt: text that the model reads first; nothing means the beginning of a line.
        length: most tokens to draw.
        temperature, top_k, top_p: see :func:`recurra.decoding.sampling.narrow`.
        stop: end before this text would come.
        seed: the same seed gives the same text; None draws anew each time.

    Raises:
        BadInput: the prompt has characters that the model has never seen.
    """
    vocabulary = load_vocabulary(run.path / "vocabulary.json")
    model = run.model
    device = next(model.parameters()).device
    generator = torch.Generator(device)
    generator.seed() if seed is None else generator.manual_seed(seed)
    read = vocabulary.encode_strict(prompt)
    if not len(read):  # no prompt, or only blanks, which are no words
        read = vocabulary.encode("\n")
    tokens = torch.from_numpy(read.astype("int64")).to(device)
    with torch.inference_mode():
        state = model.initial_state(1)
        if len(tokens) > 1:
            _, state = model(tokens[None, :-1], state)
        drawn = sampling.sample(
            _never(vocabulary.unknown, model.step),
            tokens[-1:],
            state,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            generator=generator,
        )
        yield from _before(stop, _text(vocabulary, read, islice(drawn, length)))


def _never(token: int | None, step: sampling.Step) -> sampling.Step:
    """The same step with no probability for ``token``: what stands for the unknown is not text."""
    if token is None:
        return step

    def masked(tokens: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        logits, state = step(tokens, state)
        logits[:, token] = -torch.inf
        return logits, state

    return masked


def _text(vocabulary: Vocabulary, read: np.ndarray, drawn: Iterator[torch.Tensor]) -> Iterator[str]:
    decoder = vocabulary.decoder()
    for token in read.tolist():  # whether a blank comes first depends on the word before
        decoder.push(token)
    for token in drawn:
        yield decoder.push(int(token))
    yield decoder.finish()


def _before(stop: str | None, pieces: Iterator[str]) -> Iterator[str]:
    """The pieces up to where ``stop`` begins; what may be its beginning is held back until it is known."""
    if not stop:
        yield from pieces
        return
    held = ""
    for piece in pieces:
        held += piece
        if stop in held:
            yield held[: held.index(stop)]
            return
        safe = max(0, len(held) - len(stop) + 1)
        yield held[:safe]
        held = held[safe:]
    yield held
