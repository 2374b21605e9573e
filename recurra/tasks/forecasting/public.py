"""How public sets are read and parted where the user says nothing: the settings that published scores were taken in."""

from typing import Any

from recurra.errors import BadInput
from recurra.tasks.forecasting.config import Config
from recurra.tasks.sources import Sources

INFORMER: dict[str, Any] = {
    "layout": "wide",
    "time": "date",
    "train_size": 8640,
    "dev_size": 2880,
    "test_size": 2880,
    "score": "mse",
}
"""12, 4 and 4 months of hours (Zhou et al. 2021)."""

USUAL: dict[str, Any] = {"layout": "long", "score": "mase"}

PUBLIC: dict[str, dict[str, Any]] = {
    "etth1": INFORMER,
    "m4-hourly": {"layout": "rows", "horizon": 48, "season": 24, "dev_size": 48, "score": "owa"},
    "exchange-rate": {"layout": "wide", "train_size": 4552, "dev_size": 1518, "test_size": 1518, "score": "mse"},
    "airline": {"target": ("Passengers",), "horizon": 12, "dev_size": 24, "test_size": 24},
}
"""Options by the name of the set. Of the exchange rates 60, 20 and 20 % (Lai et al. 2018)."""


def settled(config: Config, sources: Sources) -> Config:
    """The same with what a public set is read by, as far as the user has not said otherwise.

    Raises:
        BadInput: nothing says how far ahead to forecast.
    """
    usual = {**USUAL, **(PUBLIC.get(sources.train[0], {}) if sources.is_public else {})}
    found = config.model_copy(update={name: value for name, value in usual.items() if not getattr(config, name)})
    if found.horizon is None:
        raise BadInput("--horizon: say how many steps ahead to forecast")
    return found
