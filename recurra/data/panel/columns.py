"""Which columns of a table hold what."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from recurra.errors import BadInput, unknown

TIMES = ("ds", "date", "time", "timestamp", "datetime")
"""What a column of times is called where none is named; the first two letters are those of StatsForecast's format."""

TARGET, GROUP = "y", "unique_id"
"""The same of the observed values, and of the series that they belong to."""


class PanelColumns(NamedTuple):
    """Which parts of a table are read.

    Args:
        layout: long: a row an observation; wide: a column a series; rows: a row a series, its name in the first cell.
        time: of times; of a wide table whose rows are in order it may be missing.
        target: observed values; of a wide table those that are series (all but the times where none is named).
        group: together they name the series; none where the table holds one.
        known: covariates known ahead of time.
        past: covariates known only for the past.
        static: numbers that do not change within a series.
        categories: those of the covariates that hold words. Once these are known, ``known``, ``past`` and ``static``
            name a number for each word in place of such a column: ``column=word``, which is 1 where the word stands.
        frequency: of the steps, as pandas writes it (``h``, ``D``, ``MS``); inferred where it is None.
        time_format: as of ``strptime``; ISO 8601 where it is None.
    """

    layout: Literal["long", "wide", "rows"] = "long"
    time: str | None = None
    target: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    frequency: str | None = None
    time_format: str | None = None
    encoding: str = "utf-8"

    def word(self, name: str) -> tuple[str, str] | None:
        """The column and the word that a number stands for; None of a column of numbers."""
        column, _, word = name.partition("=")
        return (column, word) if column in self.categories and name != column else None

    def spelled_out(self, words: Mapping[str, Sequence[str]]) -> "PanelColumns":
        """The same with a number for each word of each category."""

        def of(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(
                found
                for name in names
                for found in ([f"{name}={word}" for word in words[name]] if name in words else [name])
            )

        return self._replace(known=of(self.known), past=of(self.past), static=of(self.static))


def settle(columns: PanelColumns, names: Sequence[str], place: str) -> PanelColumns:
    """The same with the columns found that were not named.

    Raises:
        BadInput: a column is not there, is there twice, is used twice, or must be named.
    """
    for name in names:
        if list(names).count(name) > 1:
            raise BadInput(f"{place}: the column {name!r} is there twice; rename one")
    if columns.layout != "long" and any(
        (columns.known, columns.past, columns.static, columns.group, columns.categories)
    ):
        each = "column" if columns.layout == "wide" else "row"
        raise BadInput(
            f"--layout {columns.layout}: every {each} is a series, so none is a covariate or a group; give a long table"
        )
    if columns.layout == "rows":
        return columns
    time = columns.time or next((name for name in names if name.lower() in TIMES), None)
    if time is None and columns.layout == "long":
        raise BadInput(f"{place}: no column of times among {', '.join(names)}; name it by --time")
    target, group = columns.target, columns.group
    if columns.layout == "wide":
        target = target or tuple(name for name in names if name != time)
    else:
        group = group or tuple(name for name in names if name == GROUP)
        target = target or (TARGET,)
        if len(target) > 1:
            raise BadInput(
                f"--target {' '.join(target)}: a row holds one observation; give --layout wide, or one column"
            )
    found = columns._replace(time=time, target=target, group=group)
    _check(found, names, place)
    return found


def _check(columns: PanelColumns, names: Sequence[str], place: str) -> None:
    used: dict[str, str] = {}
    for option in ("time", "target", "group", "known", "past", "static"):
        value = getattr(columns, option)
        read = [value] if isinstance(value, str) else value or ()
        for name in dict.fromkeys((columns.word(name) or (name,))[0] for name in read):
            if name not in names:
                raise BadInput(f"{place}: {unknown('column', name, names)}; name it by --{option}")
            if name in used:
                raise BadInput(f"{place}: the column {name!r} is both --{used[name]} and --{option}; choose one")
            used[name] = option
    for name in columns.categories:
        if used.get(name) not in ("known", "past", "static") or "=" in name:
            raise BadInput(f"{place}: --categories {name}: is no covariate; name it by --known, --past or --static too")
