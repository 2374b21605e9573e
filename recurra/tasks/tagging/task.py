"""Tagging: from labelled tokens to a model that labels every token of new ones."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.buckets import Buckets
from recurra.data.sentences import find_layout
from recurra.data.text import TextSource
from recurra.data.token_store import Labels, Part, read_labels, read_part
from recurra.errors import BadInput
from recurra.metrics.score import Score
from recurra.metrics.spans import split_tag
from recurra.models.tagger import Sentences, Tagger
from recurra.recurrence.state import State
from recurra.tasks.sources import Sources
from recurra.tasks.tagging.baselines import baselines, prepare_baselines
from recurra.tasks.tagging.config import Config
from recurra.tasks.tagging.contenders import contender, count
from recurra.tasks.tagging.known import Encoder, Known, learn, padded_tags
from recurra.tasks.tagging.network import build_network
from recurra.tasks.tagging.prediction import predict
from recurra.tasks.tagging.presentation import present, report
from recurra.tasks.tagging.scoring import Data, evaluate
from recurra.training.problem import Form, Loss, Problem

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

KNOWN = "vocabulary.json"


def read(sources: Sources, config: Config) -> Data:
    """The sentences in their parts, with what there is to know of the training part."""
    train, dev, test = sources.paths()
    layout = find_layout(TextSource(train).files[0], config.word, config.label, config.inputs)
    labels = read_labels(train, dev, test, layout)
    data = Data(labels, learn(labels.train, layout, lower=config.lower, min_count=config.min_count))
    _check_spans(data)
    for note in _notes(data):
        print(note, file=sys.stderr)
    return data


def read_again(sources: Sources, config: Config, folder: Path) -> Data:
    """The same with what a run knows."""
    if not (folder / KNOWN).exists():  # killed before it was written
        return read(sources, config)
    known = Known.load(folder / KNOWN)
    return Data(read_labels(*sources.paths(), known.layout), known)


def read_test(sources: Sources, config: Config, folder: Path) -> Data:
    """Sentences that are only to be scored: all of them are the part "test"."""
    known = Known.load(folder / KNOWN)
    train, _, test = sources.paths()
    part, hashes = read_part([test] if test else train, known.layout)
    data = Data(Labels(part, part, part, hashes), known)
    _check_spans(data)
    for note in _notes(data):
        print(note, file=sys.stderr)
    return data


def keep(data: Data, folder: Path) -> None:
    """Write what is known into the run folder."""
    data.known.save(folder / KNOWN)


def hashes(data: Data) -> dict[str, str]:
    """The sha256 of every file read."""
    return data.labels.hashes


def build(config: Config, data: Data) -> Tagger:
    """The model with fresh weights."""
    return build_network(config, data.known)


def load(config: Config, folder: Path) -> Tagger:
    """The model of a run folder, before its weights are loaded."""
    return build_network(config.model_copy(update={"vectors": None}), Known.load(folder / KNOWN))


def problem(config: Config, data: Data, model: nn.Module) -> Problem:
    """What the training loop needs.

    Raises:
        BadInput: there is but one tag.
    """
    if len(data.known.tags) < 2:
        raise BadInput(
            f"{data.known.layout.name}: holds nothing but {data.known.tags.names[0]!r}; "
            "name the column of the tags with --label"
        )
    encoder = Encoder(data.known, data.labels.train.kinds)

    def batches(epoch: int) -> _Batches:
        lengths = data.labels.train.lengths
        buckets = Buckets(lengths, config.batch_size, seed=config.seed, epoch=epoch, most_steps=config.most_steps)
        if epoch == 0:
            print(f"{buckets.padding:.1%} of the words in batches are padding", file=sys.stderr)
        return _Batches(data, encoder, buckets, config, epoch)

    def loss(model: nn.Module, batch: tuple[Sentences, Tensor], state: State | None) -> Loss:
        given, tags = batch
        tagger: Tagger = model  # type: ignore[assignment]
        tokens = int(given.lengths.sum())
        value = tagger.loss(given, tags) / tokens
        return Loss(value, value.detach(), tokens, None)

    def form(model: nn.Module, batch: tuple[Sentences, Tensor], state: State | None) -> Form:
        given, tags = batch
        tokens = int(given.lengths.sum())
        return Form(model(given), lambda e: Tagger.cost(e, given, tags) / tokens, 1.0, tokens, None)

    def validate(model: Tagger) -> Score:
        return evaluate(model, data, "dev")[0]

    alone = model.crf is None  # a CRF's own weights are part of its loss
    return Problem(model, loss, batches, validate, form if alone else None)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Batches:
    """An epoch's batches, with some words made unknown, the rarer the more often."""

    data: Data
    encoder: Encoder
    buckets: Buckets
    config: Config
    epoch: int

    def __len__(self) -> int:
        return len(self.buckets)

    def __getitem__(self, index: int) -> tuple[Sentences, Tensor]:
        part, known = self.data.labels.train, self.data.known
        numbers = self.buckets[index].tolist()
        given = self.encoder.sentences([part[number] for number in numbers])
        if self.config.word_dropout:
            draw = np.random.default_rng([self.config.seed, self.epoch, index])
            chance = self.config.word_dropout / (self.config.word_dropout + known.counts[given.words.numpy()])
            chosen = draw.random(given.words.shape) < chance
            given = given._replace(words=given.words.masked_fill(torch.from_numpy(chosen), 0))
        return given, padded_tags(known, [part.tags(number) for number in numbers])


def _notes(data: Data) -> list[str]:
    """What a person should know of the tags: spans that are not well formed, and tags that training has not seen."""
    labels, known = data.labels, data.known
    found = _unbalanced(labels.train) if known.marks else []
    trained = {known.label(tag) for tag in known.tags.names}
    for name, part in (("dev", labels.dev), ("test", labels.test)):
        counts = part.counts(part.label)
        unseen = {
            tag for tag, count in zip(part.kinds[-1], counts, strict=True) if count and known.label(tag) not in trained
        }
        for number in range(len(part)) if unseen else ():
            for token, tag in enumerate(part.tags(number)):
                if tag in unseen:
                    unseen.remove(tag)
                    text = f"the tag {tag!r} is not in the training part; it counts as missed in {name}"
                    found.append(f"{part.place(number, token)}: {text}")
    return found


def _check_spans(data: Data) -> None:
    """Refuse a tag of the dev or the test part that marks no span where those of the training part do.

    Raises:
        BadInput: there is one; names the line.
    """
    for part in (data.labels.dev, data.labels.test) if data.known.marks else ():
        checked: set[str] = set()
        for number in range(len(part)):
            for token, tag in enumerate(part.tags(number)):
                try:
                    if tag not in checked:
                        split_tag(tag)
                except BadInput as error:
                    raise BadInput(f"{part.place(number, token)}: {error}") from error
                checked.add(tag)


def _unbalanced(part: Part) -> list[str]:
    """One line where spans begin with I- or E-, which then count as if they began with B-."""
    count, first = 0, ""
    for number in range(len(part)):
        tags = part.tags(number)
        for token, (before, tag) in enumerate(zip(["O", *tags], tags, strict=False)):
            if tag[0] in "IE" and (before[0] not in "BI" or before[2:] != tag[2:]):
                count += 1
                first = first or f"{part.place(number, token)}: {tag} begins a span"
    return [f"{first}; {count} of them are read as if with B-"] if count else []
