"""The language model: from a text to a model that gives every next token a probability."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from recurra.data.tokens import Corpus, read_corpus
from recurra.data.vocabulary import load_vocabulary, save_vocabulary
from recurra.data.windows import IGNORED, StatefulWindows
from recurra.errors import BadInput
from recurra.metrics.score import Score
from recurra.recurrence.state import State
from recurra.tasks.language_model.baselines import baselines, prepare_baselines
from recurra.tasks.language_model.config import Config
from recurra.tasks.language_model.contenders import contender, count
from recurra.tasks.language_model.network import build_network
from recurra.tasks.language_model.sampling import sample
from recurra.tasks.language_model.scoring import evaluate, negative_log_likelihood
from recurra.tasks.language_model.stream import fit_stream
from recurra.tasks.pictures import draw_run
from recurra.tasks.pretraining import vocabulary_of
from recurra.tasks.reading import reading
from recurra.tasks.sources import Sources
from recurra.training.problem import Form, Loss, Problem

if TYPE_CHECKING:
    from recurra.tasks.run import Run

__all__ = [
    "Config",
    "baselines",
    "build",
    "contender",
    "count",
    "evaluate",
    "fit_stream",
    "hashes",
    "keep",
    "load",
    "prepare_baselines",
    "present",
    "problem",
    "read",
    "read_again",
    "read_test",
    "sample",
]


def read(sources: Sources, config: Config) -> Corpus:
    """The text in its parts, tokenised, with a vocabulary of its training part."""
    train, dev, test = sources.paths()
    known = None if config.grown_from is None else vocabulary_of(config.grown_from)
    unit = config.unit or sources.unit() or "characters"
    with reading() as progress:
        return read_corpus(
            train,
            dev,
            test,
            unit=unit if known is None else known.unit,
            vocabulary=known,
            min_count=config.min_count,
            vocabulary_size=config.vocabulary_size,
            progress=progress,
        )


def read_again(sources: Sources, config: Config, folder: Path) -> Corpus:
    """The same with the vocabulary of a run.

    Raises:
        BadInput: it learnt from a stream, which is gone.
    """
    if config.online is not None:
        raise BadInput(
            f"{folder}: learnt from a stream, which is read once; name a file to score, or resume with "
            f"--online {config.online}"
        )
    if not (folder / "vocabulary.json").exists():  # killed before it was written
        return read(sources, config)
    train, dev, test = sources.paths()
    vocabulary = load_vocabulary(folder / "vocabulary.json")
    with reading() as progress:
        return read_corpus(train, dev, test, unit=vocabulary.unit, vocabulary=vocabulary, progress=progress)


def read_test(sources: Sources, config: Config, folder: Path) -> Corpus:
    """A text that is only to be scored: all of it is the part "test"."""
    train, _, test = sources.paths()
    vocabulary = load_vocabulary(folder / "vocabulary.json")
    with reading() as progress:
        return read_corpus(
            [test] if test else train,
            unit=vocabulary.unit,
            fractions=(0, 0, 1),
            vocabulary=vocabulary,
            progress=progress,
        )


def keep(data: Corpus, folder: Path) -> None:
    """Write the vocabulary into the run folder."""
    save_vocabulary(data.vocabulary, folder / "vocabulary.json")


def hashes(data: Corpus) -> dict[str, str]:
    """The sha256 of every file read."""
    return data.hashes


def build(config: Config, data: Corpus) -> nn.Module:
    """The model with fresh weights."""
    return build_network(config, data.vocabulary)


def load(config: Config, folder: Path) -> nn.Module:
    """The model of a run folder, before its weights are loaded."""
    vocabulary = load_vocabulary(folder / "vocabulary.json")
    return build_network(config.model_copy(update={"vectors": None, "grown_from": None}), vocabulary)


def present(run: "Run") -> list[Path]:
    """Draw how the run learnt, and what it scored."""
    return draw_run(run, unit="nats/token")


def problem(config: Config, corpus: Corpus, model: nn.Module) -> Problem:
    """What the training loop needs.

    Raises:
        BadInput: a part of the text is too short.
    """
    if config.stride is not None and config.stride > config.steps:
        raise BadInput(f"--stride {config.stride} is more than --steps {config.steps}; make it smaller")
    batches = _Batches(StatefulWindows(corpus.train, config.batch_size, config.steps, stride=config.stride))
    for part in ("dev", "test"):
        if len(getattr(corpus, part)) < 2:
            raise BadInput(
                f"the {part} part has {len(getattr(corpus, part))} tokens, too few to score a model on; "
                f"use a longer text, or --{part} FILE"
            )

    def validate(model: nn.Module) -> Score:
        nats, count = negative_log_likelihood(model, corpus.dev, rows=config.batch_size)
        return Score("cross-entropy", nats / count, "nats/token", False, f"dev|rows={config.batch_size}")

    def loss(model: nn.Module, batch: Any, state: State | None) -> Loss:
        return _loss(config, model, batch, state)

    def form(model: nn.Module, batch: Any, state: State | None) -> Form:
        return _form(config, model, batch, state)

    return Problem(model, loss, lambda epoch: batches, validate, form)


@dataclass(frozen=True)
class _Batches:
    """Windows, each with the steps after which the state for the next one is taken."""

    windows: StatefulWindows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        inputs, targets = self.windows[index]
        return inputs, targets, self.windows.advance(index)


def _loss(config: Config, model: Any, batch: tuple[Tensor, Tensor, int], state: State | None) -> Loss:
    hidden, state = _hidden(model, batch, state)
    targets, count, divisor = _counted(config, batch)
    value = model.output.cross_entropy(hidden, targets, divisor=divisor)
    return Loss(value, value.detach() * divisor / count, count, state)


def _form(config: Config, model: Any, batch: tuple[Tensor, Tensor, int], state: State | None) -> Form:
    hidden, state = _hidden(model, batch, state)
    targets, count, divisor = _counted(config, batch)

    def loss(scores: Tensor) -> Tensor:
        return cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum") / divisor

    return Form(model.output(hidden), loss, divisor / count, count, state)


def _hidden(model: Any, batch: tuple[Tensor, Tensor, int], state: State | None) -> tuple[Tensor, State]:
    """What the softmax sees, and the state that the next window begins with."""
    inputs, _, advance = batch
    if advance == inputs.shape[1]:
        return model.hidden(inputs, state)
    if advance == 0:  # overlapping windows: the next one begins where this one does,
        return model.hidden(inputs, state)[0], state
    first, state = model.hidden(inputs[:, :advance], state)  # or inside it
    rest, _ = model.hidden(inputs[:, advance:], state)
    return torch.cat([first, rest], dim=1), state


def _counted(config: Config, batch: tuple[Tensor, Tensor, int]) -> tuple[Tensor, int, float]:
    """The targets, how many count, and what the sum of their losses is divided by."""
    inputs, targets, _ = batch
    count = int((targets != IGNORED).sum())
    return targets, count, float(count if config.loss_per == "token" else len(inputs))
