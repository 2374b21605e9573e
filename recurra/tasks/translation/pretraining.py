"""Encoders and decoders that begin with what a language model has learnt."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra.data.vocabulary import Vocabulary, load_vocabulary
from recurra.errors import BadInput
from recurra.models.language_model import LanguageModel


def vocabulary_of(path: Path) -> Vocabulary:
    """The vocabulary of a run of a language model.

    Raises:
        BadInput: it is no such run.
    """
    return load_vocabulary(_run(path).path / "vocabulary.json")


def start_from(path: Path, option: str, embedding: nn.Embedding, layers: nn.Module, output: Any | None) -> None:
    """Give an encoder or a decoder the weights of a language model; the boundary, token 0, keeps its own.

    Args:
        path: the language model's run folder.
        option: that named it.
        output: the softmax; None for an encoder.

    Raises:
        BadInput: it is no such run, or its layers are others.

    Source: Dai and Le (2015), arXiv:1511.01432; Ramachandran, Liu and Le (2017), arXiv:1611.02683.
    """
    run = _run(path)
    model = run.model
    if not isinstance(model, LanguageModel) or (output is not None and not hasattr(model.output, "bias")):
        raise BadInput(f"{option} {path}: needs a recurrent language model with a plain softmax; train another")
    config = run.config
    try:
        layers.load_state_dict(model.layers.state_dict())
        with torch.no_grad():
            embedding.weight[1:] = model.embedding.weight
            if output is not None:
                output.weight[1:] = model.output.weight
                output.bias[1:] = model.output.bias
    except RuntimeError as error:
        sizes = f"--cell {config.cell} --layers {config.layers} --hidden-size {config.hidden_size}"
        sizes += f" --embedding-size {config.embedding_size or config.hidden_size}"
        raise BadInput(
            f"{option} {path}: its layers are others; use {sizes}, an encoder that reads one way, and no --feeding"
        ) from error


def _run(path: Path) -> Any:
    from recurra.tasks.run import load  # which knows all tasks

    run = load(path)
    if run.task_name != "language-model":
        raise BadInput(f"{path}: is a run of {run.task_name}; name one of language-model")
    return run
