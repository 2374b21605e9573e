"""From a configuration to the forecaster that it describes."""

from collections.abc import Callable

import torch
from torch import nn

from recurra.baselines.window_encoder import WindowEncoder
from recurra.errors import BadInput
from recurra.layers import Dropout
from recurra.metrics.forecast import LEVELS
from recurra.models.forecasting.autoregressive import Autoregressive
from recurra.models.forecasting.bases import LastValue, LinearMap, SeasonalNaive
from recurra.models.forecasting.direct import Direct, HorizonFeatures
from recurra.models.forecasting.outputs import (
    BernoulliOutput,
    NegativeBinomialOutput,
    NormalOutput,
    Output,
    PointOutput,
    QuantileOutput,
    StudentTOutput,
)
from recurra.models.forecasting.residual import LastLevel, Residual
from recurra.models.forecasting.series_features import SeriesFeatures
from recurra.tasks.forecasting.config import Config
from recurra.tasks.forecasting.linear import fit_linear
from recurra.tasks.forecasting.reading import Data, Meaning
from recurra.tasks.forecasting.windows import scaling_of, sizes
from recurra.tasks.layers import make_layers

CONTEXT_SIZE = 16
"""Features that the encoder has of each step of the horizon, and of all together."""

Network = Autoregressive | Direct | Residual

OUTPUTS: dict[str, Callable[[int], Output]] = {
    "normal": NormalOutput,
    "student-t": StudentTOutput,
    "negative-binomial": NegativeBinomialOutput,
    "bernoulli": BernoulliOutput,
    "quantiles": lambda features: QuantileOutput(features, LEVELS),
    "point": PointOutput,
}


def build_network(config: Config, meaning: Meaning, data: Data | None = None) -> Network:
    """The model of ``config`` with fresh weights.

    Args:
        data: what a linear forecast is fitted to; without it that is for a run's own weights to say.

    Raises:
        BadInput: an unknown cell, or options that do not fit together.
    """
    _check(config, meaning)
    size = sizes(meaning, scaling_of(config))
    series = SeriesFeatures(size.static, meaning.series, config.embedding_size)
    dropout = Dropout(config.dropout)
    output = OUTPUTS[config.distribution]
    if config.model == "autoregressive":
        lags = tuple(sorted({1, meaning.season} if meaning.season <= meaning.context else {1}))
        layers, features = make_layers(config, Autoregressive.input_size(size.known, series, lags), "forward", dropout)
        return Autoregressive(series, layers, output(features), lags=lags, dropout=dropout)
    patch = 1 if config.model == "window" else config.patch
    inputs = Direct.input_size(size.known, size.past, series, patch)
    encoder: nn.Module
    if config.model == "window":
        encoder, features = WindowEncoder(inputs, config.hidden_size, meaning.context), config.hidden_size
    else:
        encoder, features = make_layers(config, inputs, "forward", dropout)
    steps = HorizonFeatures(
        features, size.known, meaning.horizon, context_size=CONTEXT_SIZE, output_size=config.hidden_size
    )
    network = Direct(series, encoder, steps, output(config.hidden_size), patch=patch, dropout=dropout)
    return _residual(network, config, meaning, data)


def _residual(network: Direct, config: Config, meaning: Meaning, data: Data | None) -> Direct | Residual:
    if config.residual == "none":
        return network
    if config.residual == "last":
        return Residual(network, LastValue(meaning.horizon), LastLevel())
    if config.residual == "seasonal":
        if meaning.context < meaning.season:
            raise BadInput(f"--context {meaning.context}: is shorter than a season of {meaning.season}; lengthen it")
        return Residual(network, SeasonalNaive(meaning.horizon, meaning.season))
    weight, bias = torch.zeros(meaning.horizon, meaning.context), torch.zeros(meaning.horizon)
    if data is not None:
        found = fit_linear(data, scaling_of(config), meaning.context)
        weight, bias = (torch.from_numpy(each).to(torch.get_default_dtype()) for each in (found.weight, found.bias))
    return Residual(network, LinearMap(weight, bias), LastLevel())


def _check(config: Config, meaning: Meaning) -> None:
    if config.patch > 1 and config.model == "autoregressive":
        raise BadInput(f"--patch {config.patch}: an autoregressive model reads step by step; use --model direct")
    if config.patch > meaning.context:
        raise BadInput(f"--patch {config.patch}: is more than the {meaning.context} steps of a context; lengthen that")
    if config.residual != "none" and config.model != "direct":
        raise BadInput(f"--residual {config.residual}: is of a model of all steps at once; use --model direct")
    if config.residual != "none" and config.distribution in ("negative-binomial", "bernoulli"):
        raise BadInput(
            f"--residual {config.residual}: what is left over is no {config.distribution}; use another --distribution"
        )
    if config.model == "autoregressive" and config.past:
        raise BadInput(
            "--past: an autoregressive model would have to forecast these columns too; use --model direct, or "
            "leave them out"
        )
