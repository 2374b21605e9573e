"""From a configuration to the translator it describes."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from recurra.data.vectors import read_vectors
from recurra.errors import BadInput
from recurra.layers import Dropout, Stack
from recurra.layers.attention import AdditiveAttention, DotAttention
from recurra.models.encoder_decoder import Bridge, Decoder, Encoder
from recurra.models.pointer import Pointer
from recurra.models.translator import Translator
from recurra.tasks.layers import make_layers, start_uniformly
from recurra.tasks.pretraining import start_from
from recurra.tasks.translation.config import Config
from recurra.tasks.translation.reading import Side, Sides


def build_network(config: Config, sides: Sides) -> Translator:
    """The model of ``config`` with fresh weights.

    Raises:
        BadInput: an unknown cell, or options that do not fit together.
    """
    _check_options(config)
    read, memory_size = _stack(config, config.embedding_size, both=config.direction == "both")
    hidden_size = config.embedding_size if config.tied else config.hidden_size
    fed = hidden_size if config.feeding else 0
    written, output_size = _stack(config, config.embedding_size + fed, both=False)
    encoder = Encoder(
        sides.source.size,
        config.embedding_size,
        read,
        dropout=Dropout(config.dropout),
        reversed=config.direction == "reversed",
    )
    decoder = Decoder(
        sides.target.size,
        config.embedding_size,
        written,
        output_size,
        attention=make_attention(config.attention, output_size, memory_size, config.hidden_size, config.coverage),
        memory_size=memory_size,
        hidden_size=hidden_size,
        dropout=Dropout(config.dropout),
        feeding=config.feeding,
        tied=config.tied,
        pointer=None if config.copying == "none" else Pointer(hidden_size, only=config.copying == "only"),
    )
    bridge = Bridge(2 * memory_size, written.initial_state(1)) if config.bridge == "learnt" else None
    model = Translator(encoder, decoder, bridge)
    if config.tied:  # as small as the decoder's, which is a softmax too
        nn.init.uniform_(encoder.embedding.weight, -0.1, 0.1)
    start_uniformly(model, config, config.initial_range)
    for side, embedding, file in (
        (sides.source, encoder.embedding, config.source_vectors),
        (sides.target, decoder.embedding, config.target_vectors),
    ):
        if file is not None:
            assert isinstance(side, Side)
            _start_embedding(embedding, side, file)
    if config.encoder_from is not None:
        start_from(config.encoder_from, "--encoder-from", encoder.embedding, read, None)
    if config.decoder_from is not None:
        start_from(config.decoder_from, "--decoder-from", decoder.embedding, written, decoder.output)
    return model


def _start_embedding(embedding: nn.Embedding, side: Side, file: Path) -> None:
    words = ["", *(side.vocabulary.decode(np.array([number])) for number in range(len(side.vocabulary)))]
    found = read_vectors(file, words, embedding.embedding_dim)
    with torch.no_grad():
        for number, vector in found.items():
            embedding.weight[number] = torch.from_numpy(vector)


def _stack(config: Config, input_size: int, *, both: bool) -> tuple[Stack, int]:
    return make_layers(config, input_size, "both" if both else "forward", Dropout(config.dropout))


def make_attention(
    name: str, query_size: int, memory_size: int, size: int, covers: bool = False
) -> AdditiveAttention | DotAttention | None:
    """The attention of that name; None for "none".

    Args:
        size: of what queries and memory are mapped to, where they are.
        covers: see `AdditiveAttention`.
    """
    match name:
        case "additive":
            return AdditiveAttention(query_size, memory_size, size, covers=covers)
        case "general" | "dot":
            return DotAttention(query_size, memory_size, weighted=name == "general")
    return None


def _check_options(config: Config) -> None:
    if config.joint and (config.encoder_from or config.decoder_from):
        raise BadInput("--joint makes one vocabulary of both sides, and a language model has its own; leave one out")
    if config.feeding and config.attention == "none":
        raise BadInput("--feeding needs an attention, whose answer is fed back; choose one by --attention")
    if config.bridge == "last" and config.direction == "both":
        raise BadInput("--bridge last hands over the state of layers that read one way; add --direction reversed")
    if config.attention == "dot" and config.direction == "both":
        raise BadInput("--attention dot compares vectors of one size, and both directions give two; use general")
    if config.coverage and config.attention != "additive":
        raise BadInput("--coverage is a part of additive attention; add --attention additive")
    if config.copying != "none" and config.attention == "none":
        raise BadInput(f"--copying {config.copying} goes by where the decoder attends; choose an --attention")
    if config.copying != "none" and not config.joint:
        raise BadInput(f"--copying {config.copying} writes tokens of the source; add --joint, one vocabulary for both")
