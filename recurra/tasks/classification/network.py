"""From a configuration to the classifier it describes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recurra.baselines.window_layer import WindowLayer
from recurra.data.vectors import read_vectors
from recurra.errors import BadInput
from recurra.layers import Dropout, VariationalDropout
from recurra.layers.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling, Pooling
from recurra.models.classifier import Classifier, ReadSeries, ReadTokens
from recurra.tasks.classification.config import Config
from recurra.tasks.classification.reading import Meaning, Part
from recurra.tasks.layers import make_layers


def build_network(config: Config, meaning: Meaning, train: Part | None = None) -> Classifier:
    """The model of ``config`` with fresh weights.

    Args:
        train: where the spread of series and the weights of classes are taken from; without it they are for a run's
            own weights to say.

    Raises:
        BadInput: an unknown cell, or options that do not fit the data.
    """
    reader, size = _reader(config, meaning, train)
    layers: nn.Module
    pooling: Pooling
    if config.model == "window":
        if config.window % 2 == 0:
            raise BadInput(f"--window {config.window}: a window has a step in its middle; give an odd number")
        layers, size, pooling = WindowLayer(size, config.hidden_size, config.window), config.hidden_size, MaxPooling()
    else:
        layers, size = make_layers(config, size, config.direction, _dropout(config))
        pooling = _pooling(config, size)
    return Classifier(
        reader,
        layers,
        pooling,
        size,
        len(meaning.classes),
        dropout=_dropout(config),
        multilabel=meaning.multilabel,
        weights=_balanced(train, meaning) if train is not None and config.class_weights == "balanced" else None,
    )


def _reader(config: Config, meaning: Meaning, train: Part | None) -> tuple[nn.Module, int]:
    """What reads a step, and its features."""
    if meaning.vocabulary is None:
        if config.vectors is not None or config.word_dropout:
            option = "--vectors" if config.vectors is not None else "--word-dropout"
            raise BadInput(f"{option} is for texts, these are series of numbers; leave it out")
        mean, spread = _spread(train, meaning.features) if train is not None and config.normalise else (None, None)
        size = config.embedding_size
        return ReadSeries(meaning.features, size, mean=mean, spread=spread), size or meaning.features
    size = config.embedding_size or config.hidden_size
    unknown = meaning.vocabulary.unknown
    if config.word_dropout and unknown is None:
        raise BadInput(f"--word-dropout: {meaning.vocabulary.unit} have no unknown to read instead; leave it out")
    reader = ReadTokens(len(meaning.vocabulary), size, dropped=config.word_dropout, unknown=unknown or 0)
    if config.vectors is not None:
        _start_embedding(reader.embedding, config, meaning)
    return reader, size


def _pooling(config: Config, size: int) -> Pooling:
    match config.pooling:
        case "last":
            return LastPooling(backward=size // 2 if config.direction == "both" else 0)
        case "mean":
            return MeanPooling()
        case "max":
            return MaxPooling()
        case "attention":
            return AttentionPooling(size, config.hidden_size)


def _dropout(config: Config) -> nn.Module:
    return VariationalDropout(config.dropout) if config.variational else Dropout(config.dropout)


def _spread(train: Part, features: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each dimension over all steps; 1 where a dimension never changes."""
    count, mean, squares = 0, np.zeros(features), np.zeros(features)
    for case in range(len(train)):  # joined case by case (Chan, Golub and LeVeque 1979)
        steps = train[case].astype(np.float64)
        own, apart, total = steps.mean(0), steps.mean(0) - mean, count + len(steps)
        squares += ((steps - own) ** 2).sum(0) + apart**2 * (count * len(steps) / total)
        mean, count = mean + apart * (len(steps) / total), total
    spread = np.sqrt(squares / max(count, 1))
    spread[spread <= 1e-6 * np.abs(mean)] = 1.0
    spread[spread == 0] = 1.0
    dtype = torch.get_default_dtype()
    return torch.tensor(mean, dtype=dtype), torch.tensor(spread, dtype=dtype)


def _balanced(train: Part, meaning: Meaning) -> Tensor:
    """Weights under which classes count alike, 1 in the mean over cases; multilabel, cases without a label to with."""
    if meaning.multilabel:
        having = train.targets.sum(0)
        return torch.tensor((len(train) - having) / np.maximum(having, 1), dtype=torch.get_default_dtype())
    counts = np.bincount(train.targets, minlength=len(meaning.classes))
    return torch.tensor(len(train) / (len(counts) * np.maximum(counts, 1)), dtype=torch.get_default_dtype())


def _start_embedding(embedding: nn.Embedding, config: Config, meaning: Meaning) -> None:
    assert config.vectors is not None and meaning.vocabulary is not None
    pieces = [meaning.vocabulary.decode(np.array([number])) for number in range(len(meaning.vocabulary))]
    found: dict[int, Any] = read_vectors(config.vectors, pieces, embedding.embedding_dim)
    with torch.no_grad():
        for number, vector in found.items():
            embedding.weight[number] = torch.from_numpy(vector)
