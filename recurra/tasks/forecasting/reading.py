"""From files to the parts of a forecasting problem, and what their numbers are scaled by."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recurra.data.panel.columns import PanelColumns
from recurra.data.panel.grid import Grid, season_of
from recurra.data.panel.store import Panel, keep_panel
from recurra.data.texts import Texts, write_texts
from recurra.errors import BadInput
from recurra.files import replacing, write_text
from recurra.tasks.forecasting.config import Config
from recurra.tasks.forecasting.public import settled
from recurra.tasks.forecasting.split import Split, check_long_enough, only_test, split
from recurra.tasks.sources import Sources

PLAIN = ("horizon", "context", "season", "calendar", "series", "score")
"""Fields of :class:`Meaning` that are written as they are."""

PartName = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class Meaning:
    """What the numbers that a forecaster takes and gives stand for.

    Args:
        horizon, context, season: in steps.
        grid: the steps.
        columns: that are read.
        covariates: mean and spread over the training part of those known ahead, of the past, static: (K + P + S, 2).
        calendar: dates are read too.
        series: how many there were in training.
        score: the leading one.
    """

    horizon: int
    context: int
    season: int
    grid: Grid
    columns: PanelColumns
    covariates: np.ndarray
    calendar: bool
    series: int
    score: str

    def save(self, folder: Path) -> None:
        record = {
            **{name: getattr(self, name) for name in PLAIN},
            "grid": {name: getattr(self.grid, name) for name in ("frequency", "unit", "zone")},
            "columns": self.columns._asdict(),
            "covariates": self.covariates.tolist(),
        }
        write_text(folder / "panel.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Meaning":
        """Read what :meth:`save` wrote.

        Raises:
            BadInput: the file is missing or damaged.
        """
        file = folder / "panel.json"
        try:
            record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            columns: Any = {
                name: tuple(value) if isinstance(value, list) else value for name, value in record["columns"].items()
            }
            own = {name: record[name] for name in PLAIN}
            covariates = np.array(record["covariates"]).reshape(-1, 2)
            return cls(grid=Grid(**record["grid"]), columns=PanelColumns(**columns), covariates=covariates, **own)
        except OSError as error:
            raise BadInput(
                f"{file}: cannot be read ({error.strerror}); a run folder holds what its series are, copy it"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{file}: damaged ({error!r}); copy it again, or train again") from error


@dataclass(frozen=True)
class Data:
    """A forecasting problem.

    Args:
        config: with what a public set is read by.
        split: where its parts begin in every series.
        group: the number of each series among those trained on, from 1 on; 0 for another one.
        centre, deviation: mean and spread of each series' training part, the target's units: float64 (N,).
    """

    config: Config
    meaning: Meaning
    panel: Panel
    split: Split
    group: np.ndarray
    centre: np.ndarray
    deviation: np.ndarray

    def bounds(self, part: PartName) -> tuple[np.ndarray, np.ndarray]:
        """The steps from which on, and up to which, each series is forecast in a part; nothing lies before step 1."""
        parts = self.split
        begin, end = {
            "train": (np.zeros_like(parts.dev), parts.dev),
            "dev": (parts.dev, parts.test),
            "test": (parts.test, parts.end),
        }[part]
        return np.maximum(begin, 1), end

    def target(self, series: int, begin: int, end: int) -> np.ndarray:
        """Observed values of a stretch of a series, NaN where there are none."""
        return self.panel.values.stretch(series, begin, end)[:, 0]


def columns_of(config: Config) -> PanelColumns:
    """Which columns a configuration reads."""
    names = [name for name in PanelColumns._fields if name != "layout"]
    return PanelColumns(config.layout or "long", **{name: getattr(config, name) for name in names})


def read_series(sources: Sources, config: Config) -> Data:
    """The series of a problem, parted in time.

    Raises:
        BadInput: files cannot be read, or hold no series long enough.
    """
    config = settled(config, sources)
    panel = _panel(sources, config)
    parts = split(panel, config)
    assert config.horizon is not None
    check_long_enough(panel, parts, config.horizon)
    centre, deviation = spreads(panel, parts.dev)
    _tell(panel, parts, deviation, config.horizon)
    season = config.season or season_of(panel.grid.frequency, panel.grid.unit)
    meaning = Meaning(
        config.horizon,
        config.context or max(2 * config.horizon, season),
        season,
        panel.grid,
        panel.columns,
        _covariates(panel, parts.dev),
        config.calendar,
        len(panel),
        config.score or "",
    )
    return Data(config, meaning, panel, parts, np.arange(1, len(panel) + 1), centre, deviation)


def read_with(sources: Sources, config: Config, folder: Path, *, parted: bool) -> Data:
    """The series of a problem as a run knows them.

    Args:
        folder: of the run.
        parted: as the run's own data; else all is the part "test".

    Raises:
        BadInput: as of :func:`read_series`, or steps or columns are not those trained on.
    """
    meaning = Meaning.load(folder)
    config = settled(config, sources) if parted else config.model_copy(update={"horizon": meaning.horizon})
    columns = meaning.columns if parted else meaning.columns._replace(frequency=meaning.grid.frequency)
    panel = _panel(sources, config, columns)
    if panel.grid != meaning.grid:
        raise BadInput(
            f"{panel.place(0)}: has steps of {panel.grid.frequency}, the model was trained on {meaning.grid.frequency};"
            " give it those"
        )
    parts = split(panel, config) if parted else only_test(panel, config)
    numbers = _numbers(folder)
    group = np.array([numbers.get(panel.names[series], 0) for series in range(len(panel))])
    centre, deviation = spreads(panel, parts.dev)
    trained = np.load(folder / "series.npy", allow_pickle=False)
    seen = group > 0
    centre[seen], deviation[seen] = trained[:, group[seen] - 1]
    return Data(config, meaning, panel, parts, group, centre, deviation)


def keep_series(data: Data, folder: Path) -> None:
    """Write into a run folder what a model must know of the series it was trained on."""
    data.meaning.save(folder)
    write_texts(folder / "series.ragged", (data.panel.names[number] for number in range(len(data.panel))))
    with replacing(folder / "series.npy") as part, part.open("wb") as file:
        np.save(file, np.stack([data.centre, data.deviation]), allow_pickle=False)


def spreads(panel: Panel, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each series before a step; a constant one has 1, an unobserved one 0 and 1."""
    found = np.zeros((2, len(panel)))
    found[1] = 1.0
    for number, end in enumerate(ends.tolist()):
        values = panel.values.stretch(number, 0, int(end))[:, 0]
        values = values[~np.isnan(values)]
        if len(values):
            found[0, number] = values.mean()
            spread = values.std()
            found[1, number] = spread if spread > 1e-9 * abs(values.mean()) else 1.0
    return found[0], found[1]


def _panel(sources: Sources, config: Config, columns: PanelColumns | None = None) -> Panel:
    train, dev, test = sources.paths()
    files = [(path, "train") for path in train] + [
        (path, name) for path, name in ((dev, "dev"), (test, "test")) if path
    ]
    return keep_panel(files, columns or columns_of(config))


def _numbers(folder: Path) -> dict[str, int]:
    names = Texts(folder / "series.ragged")
    return {names[number]: number + 1 for number in range(len(names))}


def _covariates(panel: Panel, ends: np.ndarray) -> np.ndarray:
    """Mean and spread of the covariates over the training part of all series, and of static features over series."""
    columns = panel.values.features - 1
    sums = np.zeros((3, columns))
    for number, end in enumerate(ends.tolist() if columns else []):
        values = panel.values.stretch(number, 0, int(end))[:, 1:]
        there = ~np.isnan(values)
        values = np.where(there, values, 0.0)
        sums += there.sum(0), values.sum(0), (values**2).sum(0)
    count = np.maximum(sums[0], 1)
    mean = np.concatenate([sums[1] / count, panel.static.mean(0)])
    square = np.concatenate([sums[2] / count, (panel.static**2).mean(0)])
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    return np.stack([mean, np.where(spread > 1e-6 * np.abs(mean), spread, 1.0)], 1)


def _tell(panel: Panel, parts: Split, deviation: np.ndarray, horizon: int) -> None:
    """A line on standard error each for series too short to train on, and for constant ones."""
    short = np.flatnonzero(parts.dev <= horizon)
    if len(short):
        print(
            f"{panel.place(int(short[0]))}: the series {panel.names[int(short[0])]!r} is too short to train on "
            f"({int(parts.dev[short[0]])} steps in the training part), as are {len(short) - 1} others",
            file=sys.stderr,
        )
    constant = [
        number
        for number in np.flatnonzero((deviation == 1.0) & (parts.dev > horizon)).tolist()
        if np.nanstd(panel.values.stretch(number, 0, int(parts.dev[number]))[:, 0]) < 0.5
    ]
    if constant:
        print(
            f"{panel.place(constant[0])}: the series {panel.names[constant[0]]!r} is constant in the training part, as "
            f"are {len(constant) - 1} others; their errors are in the target's own units, and have no MASE",
            file=sys.stderr,
        )
