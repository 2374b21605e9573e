"""Models that begin with what a language model has learnt."""

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
    """Give a model the weights of a language model; tokens before that model's own, and further layers on top of its
    own, keep theirs.

    Args:
        path: the language model's run folder.
        option: that named it.
        layers: a stack.
        output: the softmax, which keeps its matrix where that is the embedding's; None for an encoder.

    Raises:
        BadInput: it is no such run, or its layers are others.

    Source: Dai and Le (2015), arXiv:1511.01432; Ramachandran, Liu and Le (2017), arXiv:1611.02683; layer by layer
    Bengio, Lamblin, Popovici and Larochelle (2007), NIPS 19.
    """
    run = _run(path)
    model = run.model
    if not isinstance(model, LanguageModel) or (output is not None and not hasattr(model.output, "bias")):
        raise BadInput(f"{option} {path}: needs a recurrent language model with a plain softmax; train another")
    config = run.config
    try:
        further = layers.load_state_dict(model.layers.state_dict(), strict=False)
        if further.unexpected_keys or any(_depth(key) < config.layers for key in further.missing_keys):
            raise RuntimeError("other layers")
        with torch.no_grad():
            first = embedding.num_embeddings - model.embedding.num_embeddings
            embedding.weight[first:] = model.embedding.weight
            if output is not None:
                if output.weight is not embedding.weight:
                    output.weight[first:] = model.output.weight
                output.bias[first:] = model.output.bias
    except RuntimeError as error:
        sizes = f"--cell {config.cell} --layers {config.layers} --hidden-size {config.hidden_size}"
        sizes += f" --embedding-size {config.embedding_size or config.hidden_size}"
        raise BadInput(
            f"{option} {path}: its layers are others; use {sizes} (or more layers), an encoder that reads one way, and "
            "no --feeding"
        ) from error


def _depth(key: str) -> int:
    """The layer of a stack that a weight belongs to."""
    return int(key.split(".")[1])


def _run(path: Path) -> Any:
    from recurra.tasks.run import load  # which knows all tasks

    run = load(path)
    if run.task_name != "language-model":
        raise BadInput(f"{path}: is a run of {run.task_name}; name one of language-model")
    return run
