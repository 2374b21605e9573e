"""What a forecaster can be told, beyond what every task shares."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from recurra.training.settings import Settings


def _names(given: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Names of columns: one or several, with commas between them where they stand in one text."""
    texts = (given,) if isinstance(given, str) else given
    return tuple(name.strip() for text in texts for name in text.split(",") if name.strip())


Columns = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Config(Settings):
    """Options of ``recurra fit forecasting``."""

    layout: Literal["long", "wide", "rows"] | None = Field(
        None,
        description="of tables: a row an observation (long), a column a series (wide), or a row a series with its name "
        "in the first cell (rows) (long, or what a public set has)",
    )
    time: str | None = Field(None, description="column of times (the first of ds, date, time, timestamp)")
    target: Columns = Field(
        (), description="column to forecast (y); of a wide table those that are series, commas between them (all)"
    )
    group: Columns = Field((), description="columns that together name the series, commas between them (unique_id)")
    known: Columns = Field((), description="covariates known ahead for the horizon: columns, commas between them")
    past: Columns = Field((), description="covariates known for the past only: columns, commas between them")
    static: Columns = Field((), description="columns that do not change within a series")
    categories: Columns = Field(
        (),
        description="those of --known, --past and --static that hold words: each word becomes a number, 1 where it "
        "stands and 0 elsewhere",
    )
    frequency: str | None = Field(
        None, description="of the steps: h, 15min, D, B, W, MS … (told by the commonest step)"
    )
    time_format: str | None = Field(None, description="how dates are written, %d.%m.%Y for instance (ISO 8601)")
    encoding: str = Field("utf-8", description="of text files, latin-1 for instance")

    horizon: int | None = Field(None, ge=1, description="steps to forecast")
    context: int | None = Field(
        None,
        ge=1,
        description="steps before them that are read (twice the horizon, or the season where that is longer)",
    )
    season: int | None = Field(
        None, ge=1, description="steps after which values are alike (24 of hours, 7 of days, 12 of months, else 1)"
    )
    train_size: int | None = Field(
        None, ge=1, description="steps of every series, from its first, to train on (all but dev and test)"
    )
    dev_size: int | None = Field(
        None, ge=1, description="steps behind those, to choose the best weights by (a tenth; at least the horizon)"
    )
    test_size: int | None = Field(
        None, ge=1, description="last steps, only to be scored (a tenth; at least the horizon)"
    )

    until: str | None = Field(None, description="leave out what comes after this date (nothing)")

    model: Literal["autoregressive", "direct", "window"] = Field(
        "autoregressive",
        description="autoregressive: one step of the horizon after the other, as paths; direct: all at once; "
        "window: all at once by a feed-forward network on the context, for comparison, without cell and layers",
    )
    distribution: Literal["normal", "student-t", "negative-binomial", "bernoulli", "quantiles", "point"] = Field(
        "student-t",
        description="what is said of a value; negative-binomial is for counts, bernoulli for 0 and 1; "
        "point is one value",
    )
    residual: Literal["none", "last", "seasonal", "linear"] = Field(
        "none", description="learn what a forecast leaves over: the last value, last season's values, or a linear one"
    )
    patch: int = Field(
        1, ge=1, description="steps that a direct model reads as one: 24 of hours for instance, a day at a time"
    )
    scaling: Literal["window", "series", "none"] = Field(
        "window",
        description="units of what is read: mean and spread of each context, or of each series' training part",
    )
    calendar: bool = Field(True, description="read the hour, weekday, day of the month and of the year of dates")
    embedding_size: int = Field(0, ge=0, description="features by which each series is known (none)")
    dropout: float = Field(0.0, ge=0, lt=1, description="of what the layers read, and between them")
    windows: int = Field(
        50_000, ge=1, description="most windows of an epoch; of more than these, so many are drawn at random"
    )
    paths: int = Field(
        100, ge=10, description="sampled futures from which quantiles of an autoregressive model are taken"
    )
    best_by: Literal["loss", "score"] = Field(
        "loss", description="what the best weights are chosen by on the dev part: the loss, or the leading score"
    )
    score: Literal["mase", "mse", "mae", "smape", "crps", "owa"] | None = Field(
        None, description="the leading score (mase, or what a public set is reported by)"
    )
