"""What the user named as data: files and folders, or a set of the catalogue."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from recurra.data.catalogue import DATASETS, find_dataset, locate
from recurra.data.problems import PROBLEMS
from recurra.errors import BadInput, unknown

Named = str | tuple[str, ...]
"""A file, or several: those of a text and of what it becomes."""

Names = str | Path | Sequence[str | Path]
"""The same as a caller may write it."""


class Sources(BaseModel):
    """The data of a run as it was named; absolute where it named files, so that a run can be repeated from anywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: tuple[str, ...]
    dev: Named | None = None
    test: Named | None = None

    @classmethod
    def of(cls, task: str, train: Sequence[str | Path], dev: Names | None, test: Names | None) -> "Sources":
        """The sources that a task was given; those of "problem" are names of what it draws.

        Raises:
            BadInput: as of :meth:`named`; or a set is meant for another task, or there is no such problem.
        """
        if task == "problem":
            for name in map(str, train):
                if name not in PROBLEMS:
                    raise unknown("problem", name, PROBLEMS)
            return cls(train=tuple(map(str, train)), dev=_settle_all(dev), test=_settle_all(test))
        sources = cls.named(train, dev, test)
        sources.check_task(task)
        return sources

    @classmethod
    def named(cls, train: Sequence[str | Path], dev: Names | None, test: Names | None) -> "Sources":
        """Sources from what stands on a command line; nothing for a task that makes its own data.

        Raises:
            BadInput: something is neither a path nor a set of the catalogue.
        """
        return cls(train=tuple(_settle(str(name)) for name in train), dev=_settle_all(dev), test=_settle_all(test))

    def paths(self) -> tuple[list[Path], Path | None, Path | None]:
        """Files of the parts train, dev and test; a set's own parts where it has them.

        Labels in files of their own are not named: whoever reads a file looks for them beside it.

        Raises:
            BadInput: nothing is named, or a part by several files.
        """
        self._check_named()
        if self.is_public:
            parts = locate(self.train[0])
            first = [path for role, path in parts.items() if role in ("train", "data")]
            return first, _path(self.dev) or parts.get("dev"), _path(self.test) or parts.get("test")
        return [Path(name) for name in self.train], _path(self.dev), _path(self.test)

    def pairs(self, source: str | None, target: str | None) -> tuple[list[Path], list[Path], list[Path]]:
        """The files of the parts train, dev and test, each a table or two texts, or none.

        Args:
            source, target: languages of a public set; the first two that it has where they are not given.

        Raises:
            BadInput: nothing is named, or the set has no such language.
        """
        self._check_named()
        own = [[Path(name) for name in _several(named)] for named in (self.train, self.dev, self.test)]
        if not self.is_public:
            return own[0], own[1], own[2]
        parts = locate(self.train[0])
        languages = list(dict.fromkeys(role.rpartition(".")[2] for role in parts))
        first = source or next(language for language in languages if language != target)
        second = target or next(language for language in languages if language != first)
        for option, language in (("--source", first), ("--target", second)):
            if language not in languages:
                raise unknown(f"{option} of {self.train[0]}", language, languages)
        roles = {str(role): path for role, path in parts.items()}
        train, dev, test = (
            [roles[f"{part}.{side}"] for side in (first, second) if f"{part}.{side}" in roles]
            for part in ("train", "dev", "test")
        )
        return train, own[1] or dev, own[2] or test

    def unit(self) -> str | None:
        """What a language model reads the named set as; None for the user's own files."""
        return find_dataset(self.train[0]).unit if self.is_public else None

    def encoding(self) -> str:
        """Of the named set's text; UTF-8 for the user's own files."""
        return find_dataset(self.train[0]).encoding if self.is_public else "utf-8"

    def check_task(self, task: str) -> None:
        """Refuse a set that is meant for another task.

        Raises:
            BadInput: it is.
        """
        if self.is_public and (meant := find_dataset(self.train[0]).task) != task:
            raise BadInput(f"{self.train[0]}: is a set for {meant}; use it with that task, or name its files to insist")

    def check_outside(self, out: Path) -> None:
        """Refuse an output folder that would become part of the data.

        Raises:
            BadInput: ``out`` lies inside a folder that is read, or would take the name of a set.
        """
        if self.is_public and out.resolve() == Path(self.train[0]).resolve():
            raise BadInput(f"{out}: would be read in place of the set of that name; choose another --out")
        for name in (*self.train, *_several(self.dev), *_several(self.test)):
            if Path(name).is_dir() and out.resolve().is_relative_to(name):
                raise BadInput(
                    f"{out}: lies inside the data folder {name} and would be read with it; choose another --out"
                )

    def _check_named(self) -> None:
        if not self.train:
            raise BadInput("no data: name a file, a folder or a set (recurra data list shows the sets)")

    @property
    def is_public(self) -> bool:
        """Whether a set of the catalogue is named."""
        return len(self.train) == 1 and self.train[0] in {dataset.name for dataset in DATASETS}


def _settle(name: str) -> str:
    if Path(name).exists():
        return str(Path(name).resolve())
    known = [dataset.name for dataset in DATASETS]
    if name in known:
        return name
    if "/" in name or "." in name:
        raise BadInput(f"{name}: no such file or folder; check the path")
    raise unknown("file or data set", name, known)


def _settle_all(names: Names | None) -> Named | None:
    if names is None:
        return None
    if isinstance(names, str | Path):
        return _settle(str(names))
    return tuple(_settle(str(name)) for name in names)


def _several(names: Named | None) -> tuple[str, ...]:
    return names if isinstance(names, tuple) else () if names is None else (names,)


def _path(names: Named | None) -> Path | None:
    if len(found := _several(names)) > 1:
        raise BadInput(f"{' '.join(found)}: {len(found)} files for one part; give one")
    return Path(found[0]) if found else None
