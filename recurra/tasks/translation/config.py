"""What a translator can be told, beyond what every task shares."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from recurra.training.settings import Settings

Place = Annotated[Path, AfterValidator(Path.absolute)]

PRESETS: dict[str, dict[str, Any]] = {
    # arXiv:1409.3215, section 3.4; the rate is halved once an epoch instead of every half of one
    "sutskever-2014": dict(
        cell="lstm", layers=4, hidden_size=1000, embedding_size=1000, direction="reversed", attention="none",
        bridge="last", dropout=0.0, smoothing=0.0, tied=False, initial_range=0.08, optimizer="sgd", learning_rate=0.7,
        schedule="step", decay_after=5, decay=0.5, epochs=7, batch_size=128, clip_norm=5.0,
    ),
    # arXiv:1508.04025, section 4.1
    "luong-2015": dict(
        cell="lstm", layers=4, hidden_size=1000, embedding_size=1000, direction="reversed", attention="general",
        feeding=True, bridge="last", dropout=0.2, smoothing=0.0, tied=False, initial_range=0.1, optimizer="sgd",
        learning_rate=1.0, schedule="step", decay_after=5, decay=0.5, epochs=10, batch_size=128, clip_norm=5.0,
    ),
}  # fmt: skip


class Config(Settings):
    """Options of ``recurra fit translation``."""

    cell: str = Field("gru", description="recurrence of every layer")
    hidden_size: int = Field(400, ge=1, description="units of every layer and direction")
    batch_size: int = Field(64, ge=1, description="pairs per update")
    epochs: int = Field(15, ge=1, description="passes over the training part")
    learning_rate: float = Field(1e-3, gt=0, description="the rate before the schedule changes it")

    preset: Literal["none", "sutskever-2014", "luong-2015"] = Field(
        "none", description="take what is not said otherwise from this paper"
    )

    source: str | None = Field(None, description="column of a table that is read (source), or language of a public set")
    target: str | None = Field(None, description="column that is written (target), or language of a public set")
    encoding: str = Field("utf-8", description="of text files, latin-1 for instance")

    unit: Literal["bpe", "words", "moses", "characters"] = Field(
        "bpe", description="what a step of a text is; moses: words by the rules of Moses' tokeniser"
    )
    vocabulary_size: int | None = Field(
        None, ge=2, description="largest vocabulary of a side (8,192 for bpe; else all)"
    )
    min_count: int = Field(2, ge=1, description="words seen less often count as unknown; byte pairs are not merged")
    joint: bool = Field(False, description="one vocabulary for both sides")
    lower: bool = Field(False, description="read and write lower case")
    longest: int = Field(100, ge=1, description="tokens of a side above which a training pair is left out")
    ratio: float = Field(3.0, gt=1, description="of the two sides' tokens above which a training pair is left out")

    embedding_size: int = Field(300, ge=1, description="features of an embedded token")
    direction: Literal["both", "forward", "reversed"] = Field(
        "both", description="how the source is read: both ways, from its start, or from its end alone"
    )
    attention: Literal["additive", "general", "dot", "none"] = Field("general", description="how the decoder attends")
    coverage: bool = Field(
        False, description="additive attention also goes by how much each place was attended to before"
    )
    copying: Literal["none", "mixed", "only"] = Field(
        "none",
        description="what is written is the source's own tokens too (mixed, by a gate), or nothing else (only: a "
        "pointer network); for --joint",
    )
    feeding: bool = Field(False, description="the decoder also reads what it attended to a step before")
    bridge: Literal["learnt", "last"] = Field(
        "learnt", description="the decoder's first state: a map of the mean of the encoder's outputs, or its last state"
    )
    tied: bool = Field(True, description="the decoder's embedding and softmax share one matrix")
    dropout: float = Field(0.3, ge=0, lt=1, description="of embedded tokens, between layers, and before the softmax")
    initial_range: float | None = Field(None, gt=0, description="weights begin uniform within plus and minus this")
    smoothing: float = Field(0.1, ge=0, lt=1, description="part of each target's probability that all tokens share")

    encoder_from: Place | None = Field(
        None, description="run of a language model of the source whose vocabulary and weights the encoder begins with"
    )
    decoder_from: Place | None = Field(None, description="the same of the target, for the decoder")
    scheduled_sampling: float = Field(
        0.0,
        ge=0,
        le=1,
        description="chance that the decoder reads what it has drawn itself; it grows from 0 to this over the epochs",
    )
    source_vectors: Place | None = Field(
        None, description="word2vec or GloVe text file whose vectors start the source's embedding"
    )
    target_vectors: Place | None = Field(None, description="the same for the target's")

    beam: int = Field(5, ge=1, description="hypotheses that a search keeps; 1 is greedy")
    length_penalty: float = Field(
        1.0, ge=0, description="hypotheses are ranked by log-probability over length to this power"
    )
    best_by: Literal["bleu", "loss"] = Field(
        "bleu", description="how the best weights are chosen on the dev part: BLEU of greedy output, or loss"
    )
    most_steps: int = Field(8_000, ge=1, description="most tokens of the longer side in a batch, padding included")

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, given: Any) -> Any:
        return {**PRESETS.get(given.get("preset", "none"), {}), **given} if isinstance(given, dict) else given
