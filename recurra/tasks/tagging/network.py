"""From a configuration to the tagger it describes."""

from typing import Any

import torch
from torch import nn

from recurra.baselines.window_layer import WindowLayer
from recurra.data.vectors import read_vectors
from recurra.errors import BadInput
from recurra.layers import CRF, Bidirectional, Dropout, Recurrent
from recurra.metrics.spans import may_follow
from recurra.models.tagger import Spelling, SpellingConvolution, Tagger, TokenFeatures
from recurra.tasks.layers import make_cell, make_layers
from recurra.tasks.tagging.config import Config
from recurra.tasks.tagging.known import Known


def build_network(config: Config, known: Known) -> Tagger:
    """The model of ``config`` with fresh weights.

    Raises:
        BadInput: an unknown cell, or options that do not fit together.
    """
    _check_options(config)
    features = TokenFeatures(
        len(known.words),
        config.embedding_size,
        spelling=_spelling(config, len(known.characters)),
        inputs=[len(index) for index in known.inputs],
        input_size=config.input_size,
    )
    dropout = Dropout(config.dropout)
    layers: nn.Module
    if config.model == "window":
        layers, output_size = WindowLayer(features.size, config.hidden_size, config.window), config.hidden_size
    else:
        layers, output_size = make_layers(config, features.size, config.direction, dropout)
    output = config.output or ("crf" if known.marks else "softmax")
    crf = _crf(known) if output == "crf" else None
    model = Tagger(features, layers, output_size, len(known.tags), dropout=dropout, crf=crf, delay=config.delay)
    if config.vectors is not None:
        _start_embedding(features.embedding, config, known)
    return model


def _check_options(config: Config) -> None:
    if config.delay and (config.direction == "both" or config.model == "window"):
        raise BadInput(f"--delay {config.delay}: only a forward model has one; use --direction forward")
    if config.model == "window" and config.window % 2 == 0:
        raise BadInput(f"--window {config.window}: must be odd, the word and as many on either side")
    if config.spelling == "layer" and config.spelling_size % 2:
        raise BadInput(f"--spelling-size {config.spelling_size}: must be even, half of it for each direction")


def _spelling(config: Config, characters: int) -> Spelling | SpellingConvolution | None:
    if config.spelling == "none":
        return None
    if config.spelling == "convolution":
        return SpellingConvolution(characters, config.character_size, config.spelling_size)
    own = config.model_copy(update={"hidden_size": config.spelling_size // 2})
    cells: list[Any] = [make_cell(own, config.character_size) for _ in range(2)]
    layer = Bidirectional(Recurrent(cells[0]), Recurrent(cells[1]))
    return Spelling(characters, config.character_size, layer, 2 * cells[0].output_size)


def _crf(known: Known) -> CRF:
    tags = known.tags.names
    if not known.marks:
        return CRF(len(tags))
    allowed = [[may_follow(before, tag, ends=True) for tag in tags] for before in tags]
    first = [may_follow("O", tag, ends=True) for tag in tags]
    last = [may_follow(tag, "O", ends=True) for tag in tags]
    return CRF(len(tags), torch.tensor(allowed), torch.tensor(first), torch.tensor(last))


def _start_embedding(embedding: nn.Embedding, config: Config, known: Known) -> None:
    assert config.vectors is not None
    found = read_vectors(config.vectors, ["", *known.words.names], embedding.embedding_dim)
    with torch.no_grad():
        for number, vector in found.items():
            embedding.weight[number] = torch.from_numpy(vector)
