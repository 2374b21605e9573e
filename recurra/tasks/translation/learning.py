"""How a translator is trained, whatever it translates."""

import sys
from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import cross_entropy

from recurra.data.buckets import Buckets
from recurra.metrics.score import Score
from recurra.models.cross_entropy import IGNORED
from recurra.models.translator import Translator
from recurra.recurrence.state import State
from recurra.tasks.translation.batches import Batch, TrainingBatches
from recurra.tasks.translation.reading import Part
from recurra.training.problem import Form, Loss, Problem
from recurra.training.settings import Settings


def learning(
    model: Translator,
    part: Part,
    config: Settings,
    validate: Callable[[Translator], Score],
    *,
    most_steps: int,
    padded: str,
    sampling: float = 0.0,
    smoothing: float = 0.0,
) -> Problem:
    """What the training loop needs: batches of pairs of like lengths, and their loss under teacher forcing.

    Args:
        part: what is learnt.
        most_steps: of the longer side in a batch.
        padded: what it is that batches have padding of.
        sampling: the chance that the decoder reads what it has drawn itself, in the last epoch; it grows from 0.
        smoothing: of the targets.
    """

    def batches(epoch: int) -> TrainingBatches:
        buckets = Buckets(part.lengths, config.batch_size, seed=config.seed, epoch=epoch, most_steps=most_steps)
        if epoch == 0:
            print(f"{buckets.padding:.1%} of {padded} in batches is padding", file=sys.stderr)
        chance = min(1.0, sampling * epoch / max(1, config.epochs - 1))
        return TrainingBatches(part, buckets, chance, (config.seed, epoch))

    def loss(model: Translator, batch: Batch, state: State | None) -> Loss:
        tokens = int(batch.lengths.sum())
        value = model.loss(*batch[:5], own=batch.own, smoothing=smoothing, divisor=float(tokens))
        return Loss(value, value.detach(), tokens, None)

    def form(model: Translator, batch: Batch, state: State | None) -> Form:
        tokens = int(batch.lengths.sum())

        def loss(scores: Tensor) -> Tensor:
            wanted = batch.wanted.flatten()
            found = cross_entropy(
                scores.flatten(0, 1), wanted, ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing
            )
            return found / tokens

        scores = model.scores(batch.source, batch.source_lengths, batch.given, batch.lengths, own=batch.own)
        return Form(scores, loss, 1.0, tokens, None)

    plain = model.decoder.pointer is None  # what is copied is added to probabilities
    return Problem(model, loss, batches, validate, form if plain else None)  # type: ignore[arg-type]
