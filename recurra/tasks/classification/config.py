"""What a classifier can be told, beyond what every task shares."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from recurra.training.settings import Settings


class Config(Settings):
    """Options of ``recurra fit classification``."""

    text: str | None = Field(None, description="column of a table that holds the text (text)")
    label: str | None = Field(None, description="column of a table that holds the label (label)")
    separator: str | None = Field(
        None, min_length=1, description="what parts several labels in one cell; a case may then have any number of them"
    )
    encoding: str | None = Field(
        None, description="of text files, latin-1 for instance (utf-8, or what a public set has)"
    )
    images: Literal["rows", "pixels", "permuted"] = Field(
        "rows", description="an image's steps: its rows, its pixels, or its pixels in an order drawn once for all"
    )

    unit: Literal["characters", "words", "pretokenised", "bpe"] = Field(
        "words", description="what a step of a text is; pretokenised text is split at spaces as it stands"
    )
    lower: bool = Field(False, description="read texts in lower case")
    min_count: int = Field(1, ge=1, description="words seen less often in the training part count as unknown")
    vocabulary_size: int | None = Field(None, ge=2, description="largest vocabulary (all words; 8,192 for bpe)")
    longest: int | None = Field(None, ge=1, description="steps that a sequence is cut to")
    normalise: bool = Field(True, description="series in units of their mean and spread over the training part")

    model: Literal["recurrent", "window"] = Field(
        "recurrent",
        description="window: a feed-forward network on a sliding window and the largest of its answers, for "
        "comparison; it has no cell, layers, direction or pooling",
    )
    window: int = Field(5, ge=1, description="steps that the window network sees, odd")
    embedding_size: int | None = Field(
        None,
        ge=1,
        description="features of a word (as many as hidden_size), or that a series is projected to (none: as it is)",
    )
    vectors: Annotated[Path, AfterValidator(Path.absolute)] | None = Field(
        None, description="word2vec or GloVe text file whose vectors start the embedding"
    )
    direction: Literal["both", "forward"] = Field(
        "both", description="both: sequences are also read from their end; forward: the model can answer a stream"
    )
    pooling: Literal["last", "mean", "max", "attention"] = Field(
        "max",
        description="how the outputs of all steps become one: the last, their mean, their maximum, learnt weights",
    )

    dropout: float = Field(0.0, ge=0, lt=1, description="of what the layers read, between them, and of what is pooled")
    variational: bool = Field(False, description="that dropout keeps one mask for a whole sequence")
    word_dropout: float = Field(0.0, ge=0, lt=1, description="words that are read as unknown while training")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: rare classes count in the loss as much as frequent ones"
    )
    best_by: Literal["score", "loss"] = Field(
        "score", description="what the best weights are chosen by on the dev part: accuracy (F1), or cross-entropy"
    )
