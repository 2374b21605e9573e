"""Dialogue: from conversations to a network that says what comes next."""

import sys
from pathlib import Path

from torch import nn

from recurra.data.buckets import Buckets
from recurra.metrics.score import Score
from recurra.models.translator import Translator
from recurra.recurrence.state import State
from recurra.tasks.dialogue.baselines import baselines, prepare_baselines
from recurra.tasks.dialogue.config import Config
from recurra.tasks.dialogue.contenders import contender, count
from recurra.tasks.dialogue.network import build_network
from recurra.tasks.dialogue.prediction import predict
from recurra.tasks.dialogue.presentation import present, report
from recurra.tasks.dialogue.reading import KNOWN, load_sides, read_in_parts, read_to_score, save_sides
from recurra.tasks.dialogue.scoring import evaluate, leading
from recurra.tasks.sources import Sources
from recurra.tasks.translation.batches import Batch, TrainingBatches
from recurra.tasks.translation.reading import Pairs
from recurra.tasks.translation.scoring import perplexity
from recurra.training.loop import Loss, Problem

__all__ = [
    "Config",
    "baselines",
    "build",
    "contender",
    "count",
    "evaluate",
    "hashes",
    "keep",
    "load",
    "predict",
    "prepare_baselines",
    "present",
    "problem",
    "read",
    "read_again",
    "read_test",
    "report",
]


def read(sources: Sources, config: Config) -> Pairs:
    """The answers in their parts, with speakers and a vocabulary of the training part."""
    return read_in_parts(sources, config)


def read_again(sources: Sources, config: Config, folder: Path) -> Pairs:
    """The same with what a run knows."""
    if not (folder / KNOWN).exists() or not (folder / "vocabulary.json").exists():  # killed before it was written
        return read(sources, config)
    return read_in_parts(sources, config, load_sides(folder, config))


def read_test(sources: Sources, config: Config, folder: Path) -> Pairs:
    """Conversations that are only to be scored."""
    return read_to_score(sources, config, load_sides(folder, config))


def keep(data: Pairs, folder: Path) -> None:
    """Write what is known into the run folder."""
    save_sides(data.sides, folder)


def hashes(data: Pairs) -> dict[str, str]:
    """The sha256 of every file read."""
    return data.hashes


def build(config: Config, data: Pairs) -> Translator:
    """The model with fresh weights."""
    return build_network(config, data.sides)


def load(config: Config, folder: Path) -> Translator:
    """The model of a run folder, before its weights are loaded."""
    return build_network(config, load_sides(folder, config))


def problem(config: Config, data: Pairs, model: nn.Module) -> Problem:
    """What the training loop needs."""
    lengths = data.train.lengths

    def batches(epoch: int) -> TrainingBatches:
        buckets = Buckets(lengths, config.batch_size, seed=config.seed, epoch=epoch, most_steps=config.most_steps)
        if epoch == 0:
            print(f"{buckets.padding:.1%} of what is read in batches is padding", file=sys.stderr)
        return TrainingBatches(data.train, buckets, 0.0, (config.seed, epoch))

    def loss(model: nn.Module, batch: Batch, state: State | None) -> Loss:
        translator: Translator = model  # type: ignore[assignment]
        tokens = int(batch.lengths.sum())
        value = translator.loss(*batch[:5], divisor=float(tokens))
        return Loss(value, value.detach(), tokens, None)

    def validate(model: Translator) -> Score:
        return leading(model, data, "dev") if config.best_by == "accuracy" else perplexity(model, data, "dev")

    return Problem(model, loss, batches, validate)  # type: ignore[arg-type]
