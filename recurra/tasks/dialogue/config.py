"""What a network that answers can be told, beyond what every task shares."""

from typing import Literal

from pydantic import Field

from recurra.training.settings import Settings


class Config(Settings):
    """Options of ``recurra fit dialogue``."""

    cell: str = Field("gru", description="recurrence of every layer")
    hidden_size: int = Field(200, ge=1, description="units of every layer and direction")
    batch_size: int = Field(8, ge=1, description="answers per update")
    epochs: int = Field(10, ge=1, description="passes over the training part")
    learning_rate: float = Field(3e-3, gt=0, description="the rate before the schedule changes it")

    answers: str = Field("bot", description="the speaker whose turns are learnt")
    encoding: str = Field("utf-8", description="of text files, latin-1 for instance")
    unit: Literal["words", "bpe", "characters"] = Field("words", description="what a step of a text is")
    vocabulary_size: int | None = Field(None, ge=2, description="largest vocabulary (all words; 8,192 for bpe)")
    min_count: int = Field(1, ge=1, description="words seen less often count as unknown; byte pairs are not merged")
    lower: bool = Field(False, description="read and write lower case")
    history: int = Field(400, ge=10, description="tokens of what was said before that are read, the last ones")

    encoder: Literal["flat", "hierarchical"] = Field(
        "flat", description="what was said is read as one text, or turn by turn by two layers of layers"
    )
    embedding_size: int = Field(100, ge=1, description="features of an embedded token")
    attention: Literal["additive", "general", "dot", "none"] = Field("additive", description="how the decoder attends")
    copying: Literal["none", "mixed"] = Field(
        "none", description="what is answered may be words of what was said before (mixed, by a gate)"
    )
    feeding: bool = Field(False, description="the decoder also reads what it attended to a step before")
    tied: bool = Field(False, description="the decoder's embedding and softmax share one matrix")
    dropout: float = Field(0.0, ge=0, lt=1, description="of embedded tokens, between layers, and before the softmax")

    beam: int = Field(1, ge=1, description="hypotheses that a search keeps; 1 is greedy")
    length_penalty: float = Field(
        1.0, ge=0, description="hypotheses are ranked by log-probability over length to this power"
    )
    best_by: Literal["accuracy", "loss"] = Field(
        "loss", description="how the best weights are chosen on the dev part: whole answers right, or loss"
    )
    most_steps: int = Field(8_000, ge=1, description="most tokens of what is read in a batch, padding included")
