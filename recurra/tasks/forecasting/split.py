"""Where in time the training part of every series ends, and the dev and test parts begin."""

from typing import NamedTuple

import numpy as np

from recurra.data.panel.store import Panel
from recurra.errors import BadInput
from recurra.tasks.forecasting.config import Config

SHARE = 0.1
"""Of the steps, for each of the parts dev and test where the user says nothing."""


class Split(NamedTuple):
    """The steps at which each series' dev and test parts begin, and the test part ends: int64 (N,), ascending."""

    dev: np.ndarray
    test: np.ndarray
    end: np.ndarray


def split(panel: Panel, config: Config) -> Split:
    """The parts of every series.

    Where times are dates, all series are parted at the same ones, so that none is trained on what comes after another's
    dev part began. Where they are numbers, each is parted from its own end. ``--train-size`` counts from the first.
    """
    ends = _ends(panel, config)
    dev_size, test_size = (size or _usual(ends, config) for size in (config.dev_size, config.test_size))
    if config.train_size is not None:
        dev, test = (np.minimum(size, ends) for size in (config.train_size, config.train_size + dev_size))
        return Split(dev, test, ends if config.test_size is None else np.minimum(test + config.test_size, ends))
    test = _before_end(panel, test_size, ends)
    test = np.where(panel.test >= 0, np.minimum(panel.test, ends), test)
    if (panel.test >= 0).any():
        dev = np.maximum(test - dev_size, 0)
    else:
        dev = _before_end(panel, test_size + dev_size, ends)
    dev = np.where(panel.dev >= 0, np.minimum(panel.dev, test), dev)
    return Split(np.minimum(dev, test), test, ends)


def only_test(panel: Panel, config: Config) -> Split:
    """All of it is the test part, as far as something lies before it to forecast from."""
    ends = _ends(panel, config)
    test = _before_end(panel, config.test_size or _usual(ends, config), ends)
    return Split(test, test, ends)


def _ends(panel: Panel, config: Config) -> np.ndarray:
    """Steps of each series that are used."""
    if config.until is None:
        return panel.observed
    until = panel.grid.read(config.until, "--until")
    return np.clip(panel.grid.steps_before(panel.starts, until + 1), 0, panel.observed)


def _usual(ends: np.ndarray, config: Config) -> int:
    return max(config.horizon or 1, int(SHARE * np.median(ends)))


def _before_end(panel: Panel, size: int, ends: np.ndarray) -> np.ndarray:
    """The step of each series at which the last ``size`` begin: of all series, where times are dates."""
    if panel.grid.unit == "number":
        return np.maximum(ends - size, 0)
    last = panel.grid.times(panel.starts, ends - 1).max()
    cut = panel.grid.times(np.array([last]), np.array([1 - size]))[0]
    return np.clip(panel.grid.steps_before(panel.starts, int(cut)), 0, ends)


def check_long_enough(panel: Panel, parts: Split, horizon: int) -> None:
    """Nothing, where at least one series has a window to train on, one of the dev and one of the test part.

    Raises:
        BadInput: names the longest series.
    """
    longest = int(panel.observed.argmax())
    where, steps = panel.place(longest), int(panel.observed[longest])
    name = panel.names[longest]
    if not (parts.dev > horizon).any():
        raise BadInput(
            f"{where}: the longest series, {name!r}, has {steps} steps, {int(parts.dev.max())} of them to train on; a "
            f"horizon of {horizon} needs {horizon + 1}: give longer series, or a shorter --horizon or --test-size"
        )
    for part, begin, end in (("dev", parts.dev, parts.test), ("test", parts.test, parts.end)):
        if not ((end - begin >= horizon) & (begin > 0)).any():
            raise BadInput(
                f"{where}: no series has {horizon} steps in the {part} part (the longest, {name!r}, has "
                f"{int((end - begin)[longest])} of its {steps}); give a larger --{part}-size, or a shorter --horizon"
            )
