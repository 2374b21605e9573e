"""What every ``fit`` can be told. A task's own configuration adds its fields to these."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Options that all tasks share; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: str = Field("lstm", description="recurrence of every layer")
    hidden_size: int = Field(256, ge=1, description="units of every layer")
    layers: int = Field(1, ge=1, description="recurrent layers")

    batch_size: int = Field(32, ge=1, description="sequences per update")
    epochs: int = Field(10, ge=1, description="passes over the training part")
    time_limit: float | None = Field(
        None, gt=0, description="stop after this many seconds of training, scores included"
    )

    optimizer: Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw"] = Field(
        "adamw", description="update rule"
    )
    learning_rate: float = Field(2e-3, gt=0, description="the rate before the schedule changes it")
    momentum: float = Field(0.9, ge=0, lt=1, description="of momentum and nesterov")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty (decoupled in adamw)")
    schedule: Literal["constant", "cosine", "plateau", "step"] = Field(
        "cosine", description="how the rate falls; cosine reaches zero at the end of the epochs or of the time limit"
    )
    warm_up: int = Field(0, ge=0, description="updates over which the rate grows from zero")
    decay: float = Field(0.5, gt=0, lt=1, description="factor of the schedules plateau and step")
    decay_after: int = Field(
        1, ge=0, description="step: epochs at the full rate, then decay each; plateau: validations without gain"
    )
    clip_norm: float | None = Field(1.0, gt=0, description="largest 2-norm of the gradient")
    clip_value: float | None = Field(None, gt=0, description="largest magnitude of a gradient's element")
    accumulate: int = Field(1, ge=1, description="batches whose gradients are averaged into one update")

    validate_every: int | None = Field(
        None, ge=1, description="updates between validations (each epoch; each tenth of a time limit too)"
    )
    early_stopping: int | None = Field(None, ge=1, description="validations without gain before training stops")
    checkpoint_every: int | None = Field(None, ge=1, description="updates between checkpoints (else every minute)")

    seed: int = Field(0, ge=0, description="of weights, dropout and data order")
    device: str = Field("auto", description="auto, cpu, cuda, mps")
    precision: Literal["float32", "bfloat16", "float64"] = Field(
        "float32", description="arithmetic; bfloat16 is mixed: weights and states stay float32"
    )
    threads: int | None = Field(None, ge=1, description="processor threads (all; a run repeats for the same number)")
    tensorboard: bool = Field(False, description="also write TensorBoard events into the run folder")
