"""What every ``fit`` can be told. A task's own configuration adds its fields to these."""

from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from recurra.errors import BadInput, unknown
from recurra.training.penalties.options import listed, parsed


class Settings(BaseModel):
    """Options that all tasks share; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: str = Field("lstm", description="recurrence of every layer")
    hidden_size: int = Field(256, ge=1, description="units of every layer")
    layers: int = Field(1, ge=1, description="recurrent layers")
    start: Literal["default", "orthogonal", "identity", "rotations"] = Field(
        "default",
        description="how recurrent weights begin, each gate's square block: as the cell's own, or as such a matrix",
    )
    start_scale: float = Field(1.0, gt=0, description="what the matrix of --start is multiplied by")
    forget_bias: float | None = Field(
        None, description="what the biases of gates that keep the past begin at (else as the cell's own)"
    )
    chrono: int | None = Field(
        None,
        ge=2,
        description="steps to remember over, where known: gates begin spread from 1 to so many (chrono initialisation)",
    )

    batch_size: int = Field(32, ge=1, description="sequences per update")
    epochs: int = Field(10, ge=1, description="passes over the training part")
    time_limit: float | None = Field(
        None, gt=0, description="stop after this many seconds of training, scores included"
    )

    optimizer: Literal[
        "sgd",
        "momentum",
        "nesterov",
        "adagrad",
        "adadelta",
        "rmsprop",
        "adam",
        "adamw",
        "hessian-free",
        "saddle-free",
        "guessing",
        "evolution",
    ] = Field(
        "adamw",
        description="update rule; hessian-free and saddle-free take curvature as well, guessing and evolution no "
        "gradients (docs/learning.md)",
    )
    learning_rate: float = Field(2e-3, gt=0, description="the rate before the schedule changes it")
    momentum: float = Field(0.9, gt=0, lt=1, description="of momentum, nesterov and, until it is stuck, saddle-free")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty of all there is (decoupled in adamw)")
    regularize: Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(parsed)] = Field(
        (),
        description="a penalty NAME=STRENGTH or GROUP:NAME=STRENGTH, as often as wanted: gradient-flow (errors that "
        "vanish or grow), l1, truncated, group-in, group-out (weights go to zero, or units do), l2 (the same as "
        "--weight-decay, but of a group, or of all weights but biases, and apart from the update rule); groups: input, "
        "recurrent, bias, embedding, output, or a pattern of names",
    )
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
    damping: float = Field(1.0, gt=0, description="hessian-free: added to the curvature at first; adapts itself")
    curvature_products: int | None = Field(
        None, ge=2, description="most products with the curvature in an update (hessian-free 50, saddle-free 30)"
    )
    curvature_share: float = Field(
        1.0, gt=0, le=1, description="part of an update's batches whose curvature is taken; at least one"
    )
    structural_damping: float = Field(
        0.0, ge=0, description="hessian-free: how much a step that moves hidden states counts, times the damping"
    )
    spread: float = Field(
        1.0,
        gt=0,
        description="guessing: weights lie within plus and minus this; evolution: their first deviation",
    )
    population: int | None = Field(None, ge=2, description="evolution: draws in an update (4 + 3 ln of all weights)")

    validate_every: int | None = Field(
        None, ge=1, description="updates between validations (each epoch; each tenth of a time limit too)"
    )
    early_stopping: int | None = Field(None, ge=1, description="validations without gain before training stops")
    checkpoint_every: int | None = Field(None, ge=1, description="updates between checkpoints (else every minute)")

    seed: int = Field(0, ge=0, lt=2**63, description="of weights, dropout and data order")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where to compute; auto takes the best")
    precision: Literal["float32", "bfloat16", "float64"] = Field(
        "float32", description="arithmetic; bfloat16 is mixed: weights stay float32"
    )
    threads: int | None = Field(
        None,
        ge=1,
        description="processor threads (one where steps are small, else all)",
    )
    tensorboard: bool = Field(False, description="also write TensorBoard events into the run folder")


SECOND_ORDER = ("hessian-free", "saddle-free")
"""Optimizers that take curvature."""

SEARCHES = ("guessing", "evolution")
"""Optimizers without gradients."""

S = TypeVar("S", bound=Settings)


def make_settings(kind: type[S], options: dict[str, Any]) -> S:
    """Settings of ``kind`` from ``options``.

    Raises:
        BadInput: an unknown option or a value out of range, with the nearest that would do.
    """
    try:
        return kind(**options)
    except ValidationError as error:
        raise explain_invalid(error, kind) from error


def explain_invalid(error: ValidationError, kind: type[BaseModel]) -> BadInput:
    """The first thing wrong, in one line that names the option as the command line spells it."""
    first = error.errors()[0]
    if isinstance(cause := first.get("ctx", {}).get("error"), BadInput):
        return cause
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return unknown("option", name, kind.model_fields)
    option = "--" + name.replace("_", "-")
    if first["type"] == "literal_error":
        choices = get_args(kind.model_fields[name].annotation)
        known = [choice for choice in choices if isinstance(choice, str)] or [
            text for choice in choices for text in get_args(choice)
        ]
        return unknown(f"value of {option}", str(first["input"]), known)
    wanted = first["msg"].replace("Input should be", "must be")
    return BadInput(f"{option} {first['input']}: {wanted[0].lower()}{wanted[1:]}")
