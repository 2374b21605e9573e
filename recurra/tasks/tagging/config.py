"""What a tagger can be told, beyond what every task shares."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from recurra.training.settings import Settings


class Config(Settings):
    """Options of ``recurra fit tagging``."""

    hidden_size: int = Field(200, ge=1, description="units of every layer and direction")
    batch_size: int = Field(16, ge=1, description="sequences per update")
    epochs: int = Field(15, ge=1, description="passes over the training part")

    label: str | None = Field(
        None, description="column of the tags: a name of CoNLL-U, or a number from 1 (upos; else the last column)"
    )
    word: str | None = Field(None, description="column of the words (form; else the first column)")
    inputs: str | None = Field(None, description="further columns that the model reads, with commas between them")
    min_count: int = Field(1, ge=1, description="words seen less often in the training part count as unknown")
    lower: bool = Field(True, description="words are embedded in lower case; their spelling keeps its case")

    model: Literal["recurrent", "window"] = Field(
        "recurrent", description="window: a feed-forward layer on a sliding window instead, for comparison"
    )
    window: int = Field(5, ge=1, description="words that the window model sees, an odd number")
    direction: Literal["both", "forward"] = Field("both", description="forward: what a stream can be tagged with")
    delay: int = Field(0, ge=0, description="words that a forward model reads beyond the one whose tag it gives")
    output: Literal["crf", "softmax"] | None = Field(
        None, description="scores whole sequences of tags, or single ones (crf where tags mark spans, else softmax)"
    )

    embedding_size: int = Field(100, ge=1, description="features of an embedded word")
    vectors: Annotated[Path, AfterValidator(Path.absolute)] | None = Field(
        None, description="word2vec or GloVe text file whose vectors start the embedding"
    )
    spelling: Literal["layer", "convolution", "none"] = Field(
        "layer", description="what reads the characters of a word: a bidirectional layer, filters, or nothing"
    )
    character_size: int = Field(30, ge=1, description="features of an embedded character")
    spelling_size: int = Field(100, ge=2, description="features of a word's spelling, even for a layer")
    input_size: int = Field(25, ge=1, description="features of each further column")

    dropout: float = Field(0.5, ge=0, lt=1, description="of what the layers read and give, and between them")
    word_dropout: float = Field(
        0.25, ge=0, description="a: a word seen n times counts as unknown with the chance a / (a + n) in each update"
    )
    most_steps: int = Field(
        20_000, ge=1, description="most words in a batch, padding included; a longer sentence is a batch by itself"
    )
