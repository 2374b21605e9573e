"""What the user named as data: files and folders, or a set of the catalogue."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from recurra.data.catalogue import DATASETS, find_dataset, locate
from recurra.errors import BadInput, unknown


class Sources(BaseModel):
    """The data of a run as it was named; absolute where it named files, so that a run can be repeated from anywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: tuple[str, ...]
    dev: str | None = None
    test: str | None = None

    @classmethod
    def named(cls, train: tuple[str, ...], dev: str | None, test: str | None) -> "Sources":
        """Sources from what stands on a command line.

        Raises:
            BadInput: nothing is named, or something is neither a path nor a set of the catalogue.
        """
        if not train:
            raise BadInput("no data: name a file, a folder or a set (recurra data list shows the sets)")
        return cls(train=tuple(_settle(name) for name in train), dev=dev and _settle(dev), test=test and _settle(test))

    def paths(self) -> tuple[list[Path], Path | None, Path | None]:
        """Files of the parts train, dev and test; a set's own parts where it has them.

        Labels in files of their own are not named: whoever reads a file looks for them beside it.
        """
        if self._names_a_set():
            parts = locate(self.train[0])
            first = [path for role, path in parts.items() if role in ("train", "data")]
            return first, _path(self.dev) or parts.get("dev"), _path(self.test) or parts.get("test")
        return [Path(name) for name in self.train], _path(self.dev), _path(self.test)

    def unit(self) -> str | None:
        """What a language model reads the named set as; None for the user's own files."""
        return find_dataset(self.train[0]).unit if self._names_a_set() else None

    def encoding(self) -> str:
        """Of the named set's text; UTF-8 for the user's own files."""
        return find_dataset(self.train[0]).encoding if self._names_a_set() else "utf-8"

    def check_task(self, task: str) -> None:
        """Refuse a set that is meant for another task.

        Raises:
            BadInput: it is.
        """
        if self._names_a_set() and (meant := find_dataset(self.train[0]).task) != task:
            raise BadInput(f"{self.train[0]}: is a set for {meant}; use it with that task, or name its files to insist")

    def check_outside(self, out: Path) -> None:
        """Refuse an output folder that would become part of the data.

        Raises:
            BadInput: ``out`` lies inside a folder that is read.
        """
        for name in (*self.train, self.dev, self.test):
            if name is not None and Path(name).is_dir() and out.resolve().is_relative_to(name):
                raise BadInput(
                    f"{out}: lies inside the data folder {name} and would be read with it; choose another --out"
                )

    def _names_a_set(self) -> bool:
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


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)
