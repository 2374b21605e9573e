"""What a network that learns a drawn problem can be told, beyond what every task shares."""

from typing import Literal

from pydantic import Field

from recurra.training.settings import Settings


class Config(Settings):
    """Options of ``recurra fit problem``."""

    hidden_size: int = Field(64, ge=1, description="units of every layer")
    batch_size: int = Field(50, ge=1, description="sequences per update")
    epochs: int = Field(100, ge=1, description="rounds of --epoch-size sequences, none of which comes twice on purpose")
    learning_rate: float = Field(5e-3, gt=0, description="the rate before the schedule changes it")

    lag: int | None = Field(
        None, ge=2, description="how far apart what belongs together is; what that is, docs/problems.md says (its own)"
    )
    symbols: int | None = Field(None, ge=2, description="kinds of symbols, of copy-memory and delayed-recall (its own)")
    shape: Literal["cosine", "triangle", "rectangle"] | None = Field(None, description="of periodic (cosine)")
    curriculum: Literal["none", "grow"] = Field(
        "none", description="grow: the lag begins at ten and doubles whenever it is solved; none: it is always the same"
    )
    stop_when_solved: bool = Field(True, description="training ends once the problem counts as solved")

    epoch_size: int = Field(10_000, ge=1, description="sequences in a round of training")
    part_size: int = Field(2560, ge=1, description="sequences of the dev and of the test part")
    model: Literal["recurrent", "window"] = Field("recurrent", description="layers of --cell, or a feed-forward window")
    window: int = Field(10, ge=1, description="steps that a window sees, the last one included")
