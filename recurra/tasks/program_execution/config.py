"""What a network that learns to execute can be told, beyond what every task shares."""

from typing import Literal

from pydantic import Field

from recurra.training.settings import Settings


class Config(Settings):
    """Options of ``recurra fit program-execution``."""

    cell: str = Field("layer-norm-lstm", description="recurrence of every layer")
    hidden_size: int = Field(256, ge=1, description="units of every layer")
    batch_size: int = Field(50, ge=1, description="problems per update")
    epochs: int = Field(40, ge=1, description="rounds of --epoch-size problems, none of which comes twice on purpose")
    learning_rate: float = Field(5e-3, gt=0, description="the rate before the schedule changes it")

    problem: Literal["programs", "addition", "copy"] = Field(
        "programs", description="short programs of Python, sums of two numbers, or numbers to be written again"
    )
    length: int = Field(4, ge=1, le=35, description="digits of a number")
    nesting: int = Field(3, ge=1, le=12, description="operations that a program combines")
    curriculum: Literal["none", "naive", "mixed", "combined"] = Field(
        "combined",
        description="none: all problems are as hard; naive: they become so step by step; mixed: each is as hard or "
        "easier, at random; combined: one or the other, at random",
    )
    promotion: float = Field(
        95.0,
        gt=0,
        le=100,
        description="percent of right characters at the level reached from which naive goes a step on",
    )
    reversed: bool = Field(False, description="the network reads each problem from its end")
    doubled: bool = Field(False, description="the network reads each problem twice")

    epoch_size: int = Field(50_000, ge=1, description="problems in a round of training")
    part_size: int = Field(1_000, ge=1, description="problems of the dev and of the test part")
    embedding_size: int = Field(50, ge=1, description="features of an embedded character")
    initial_range: float | None = Field(None, gt=0, description="weights begin uniform within plus and minus this")
    dropout: float = Field(0.0, ge=0, lt=1, description="of embedded characters, between layers, before the softmax")
