"""What a language model can be told, beyond what every task shares."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from recurra.training.settings import Settings


class Config(Settings):
    """Options of ``recurra fit language-model``."""

    unit: Literal["characters", "bytes", "words", "pretokenised", "bpe"] | None = Field(
        None,
        description="what a token is; pretokenised text is split at spaces as it stands (characters, or what a public "
        "set is read as)",
    )
    min_count: int = Field(1, ge=1, description="words seen less often in the training part count as unknown")
    vocabulary_size: int | None = Field(None, ge=2, description="largest vocabulary (all words; 8,192 for bpe)")

    online: Literal["truncated", "rtrl", "snap-1", "uoro"] | None = Field(
        None,
        description="learn from DATA as a stream of bytes, read once: a file, a pipe, or - for standard input; each "
        "byte is predicted before it is learnt, and the weights change every --steps bytes (docs/online.md)",
    )
    model: Literal["recurrent", "window"] = Field(
        "recurrent",
        description="window: the feed-forward network on a sliding window, for comparison; it has no cell, layers, "
        "tied weights, dropout or pretrained vectors",
    )
    window: int = Field(5, ge=1, description="tokens that the window network sees")
    steps: int = Field(100, ge=1, description="steps that the gradient goes back through (truncated BPTT)")
    stride: int | None = Field(
        None, ge=1, description="steps that a window moves on by; only these count in its loss (as many as steps)"
    )
    embedding_size: int | None = Field(None, ge=1, description="features of an embedded token (as many as hidden_size)")
    tied: bool = Field(False, description="embedding and softmax layer share one matrix")
    adaptive_softmax: str | None = Field(
        None,
        pattern=r"^\d+(,\d+)*$",
        description="numbers with commas between them: words from each on, the vocabulary being sorted by frequency, "
        "share a cluster with a quarter of the features of the one before; for large vocabularies",
    )
    vectors: Annotated[Path, AfterValidator(Path.absolute)] | None = Field(
        None, description="word2vec or GloVe text file whose vectors start the embedding"
    )
    grown_from: Annotated[Path, AfterValidator(Path.absolute)] | None = Field(
        None,
        description="run of a model with fewer layers whose vocabulary, embedding, layers and softmax this one begins "
        "with: depth learnt layer by layer",
    )
    residual: bool = Field(False, description="add each layer's input to its output")
    learnt_start: bool = Field(False, description="learn the state before the first token")

    dropout: float = Field(0.0, ge=0, lt=1, description="of embeddings, between layers and of the last output")
    variational: bool = Field(False, description="that dropout keeps one mask for a whole window")
    recurrent_dropout: float = Field(0.0, ge=0, lt=1, description="of h on its way to the next step, one mask a window")
    zoneout: float = Field(0.0, ge=0, lt=1, description="probability that a unit keeps its value for a step")
    weight_drop: float = Field(0.0, ge=0, lt=1, description="of the hidden-to-hidden weights, one mask a window")

    initial_range: float | None = Field(
        None, gt=0, description="draw all weights and biases uniformly within plus and minus this"
    )
    loss_per: Literal["token", "sequence"] = Field(
        "token", description="divide a batch's loss by its tokens, or only by its sequences (scales rate and clipping)"
    )
