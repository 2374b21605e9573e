"""From a configuration to the network it describes."""

from typing import Any

import numpy as np
import torch
from torch import nn

from recurra.baselines.window import WindowNetwork
from recurra.data.vectors import read_vectors
from recurra.data.vocabulary import Vocabulary
from recurra.errors import BadInput
from recurra.layers import (
    Dropout,
    LearntState,
    Recurrent,
    RecurrentDropout,
    Stack,
    VariationalDropout,
    WeightDrop,
    Zoneout,
)
from recurra.models.language_model import LanguageModel
from recurra.tasks.language_model.config import Config
from recurra.tasks.layers import make_cells, start_uniformly
from recurra.tasks.pretraining import start_from
from recurra.training.gradients import proportional
from recurra.training.machine import pick_device

READS_H_THROUGH_WEIGHTS = {
    "elman", "irnn", "original-lstm", "lstm", "peephole-lstm", "layer-norm-lstm", "lstmp", "multiplicative-lstm",
    "slstm",
}  # fmt: skip
"""Cells whose h reaches the next step through weights alone, so that its mask may scale it."""

MEASURES_BY_A_STABILISER = {"slstm", "mlstm"}
"""Cells with a tensor in their state that says in what units the others are; a mean of two states then says nothing."""


def build_network(config: Config, vocabulary: Vocabulary) -> nn.Module:
    """The model of ``config`` with fresh weights.

    Raises:
        BadInput: an unknown cell, or options that do not fit together.
    """
    one_hot = config.online is not None and config.embedding_size is None
    embedding_size = len(vocabulary) if one_hot else config.embedding_size or config.hidden_size
    if config.model == "window":
        if config.grown_from is not None:
            raise BadInput("--grown-from gives recurrent layers, and a window has none; leave out --model window")
        window = WindowNetwork(
            len(vocabulary), window=config.window, embedding_size=embedding_size, hidden_size=config.hidden_size
        )
        window.embedding.sparse = _touched_rows_suffice(config)
        start_uniformly(window, config, config.initial_range)
        return window
    cells = make_cells(config, embedding_size)
    _check_options(config, embedding_size, cells)
    model = LanguageModel(
        len(vocabulary),
        embedding_size,
        Stack(*(_layer(config, cell) for cell in cells), residual=config.residual, dropout=_dropout(config)),
        cells[-1].output_size,
        dropout=_dropout(config),
        tied=config.tied,
        cutoffs=_cutoffs(config, vocabulary, cells[-1].output_size),
    )
    model.embedding.sparse = _touched_rows_suffice(config) and not (config.tied or one_hot)
    start_uniformly(model, config, config.initial_range)
    if one_hot:  # then the weights that embed a byte are the cell's own, of which a learner knows the whole past
        model.embedding.weight.requires_grad_(False).copy_(torch.eye(len(vocabulary)))
    if config.vectors is not None:
        _start_embedding(model.embedding, config, vocabulary)
    if config.grown_from is not None:
        start_from(config.grown_from, "--grown-from", model.embedding, model.layers, model.output)
    return model


def _cutoffs(config: Config, vocabulary: Vocabulary, output_size: int) -> list[int]:
    """Where the clusters of the softmax begin.

    Raises:
        BadInput: they do not fit the vocabulary or the model.
    """
    if config.adaptive_softmax is None:
        return []
    cutoffs = [int(number) for number in config.adaptive_softmax.split(",")]
    option = f"--adaptive-softmax {config.adaptive_softmax}"
    if config.tied:
        raise BadInput(f"{option}: its clusters have fewer features than the embedding; leave out --tied")
    if vocabulary.unit not in ("words", "pretokenised"):
        raise BadInput(f"{option}: {vocabulary.unit} are not sorted by frequency; use --unit words or pretokenised")
    if cutoffs != sorted(set(cutoffs)) or not 1 <= cutoffs[0] <= cutoffs[-1] < len(vocabulary):
        raise BadInput(f"{option}: must be growing numbers from 1 to {len(vocabulary) - 1}, the vocabulary's last")
    if output_size < 4 ** len(cutoffs):
        raise BadInput(f"{option}: its last cluster would have no features of {output_size}; name fewer numbers")
    return cutoffs


def _check_options(config: Config, embedding_size: int, cells: list[Any]) -> None:
    """Raise BadInput where an option asks for what this cell, or these sizes, cannot give."""
    output_size = cells[-1].output_size
    for option, given in (("tied", config.tied), ("residual", config.residual)):
        if given and embedding_size != output_size:
            raise BadInput(
                f"--{option} needs --embedding-size equal to the outputs of a layer, "
                f"got {embedding_size} and {output_size}"
            )
    if config.recurrent_dropout and config.cell not in READS_H_THROUGH_WEIGHTS:
        raise BadInput(
            f"--recurrent-dropout lets the state of {config.cell} grow without bound, as its units carry their own "
            "value on; use --zoneout or --weight-drop"
        )
    if config.zoneout and config.cell in MEASURES_BY_A_STABILISER:
        raise BadInput(f"--zoneout would mix the values of {config.cell} in different units; use --dropout")
    if config.weight_drop and not any(name.endswith("W_h") for name, _ in cells[0].named_parameters()):
        raise BadInput(
            f"--weight-drop needs weights from all hidden units to each, {config.cell} has none; use --dropout"
        )


def _layer(config: Config, cell: nn.Module) -> nn.Module:
    start = LearntState(cell) if config.learnt_start else None
    if config.recurrent_dropout:
        cell = RecurrentDropout(cell, config.recurrent_dropout)
    if config.zoneout:
        cell = Zoneout(cell, config.zoneout)
    layer: nn.Module = Recurrent(cell, initial_state=start)
    return WeightDrop(layer, config.weight_drop) if config.weight_drop else layer


def _touched_rows_suffice(config: Config) -> bool:
    """Whether the embedding's gradient may leave out the rows that a batch does not name: torch has that on CPUs."""
    return proportional(config) and pick_device(config.device).type == "cpu"


def _dropout(config: Config) -> nn.Module:
    return VariationalDropout(config.dropout) if config.variational else Dropout(config.dropout)


def _start_embedding(embedding: nn.Embedding, config: Config, vocabulary: Vocabulary) -> None:
    assert config.vectors is not None
    pieces = [vocabulary.decode(np.array([number])) for number in range(len(vocabulary))]
    found: dict[int, Any] = read_vectors(config.vectors, pieces, embedding.embedding_dim)
    with torch.no_grad():
        for number, vector in found.items():
            embedding.weight[number] = torch.from_numpy(vector)
