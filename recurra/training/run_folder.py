"""A run folder: what a training run leaves, enough to load, resume and repeat it.

``config.json``, ``model.safetensors`` (the best weights so far), ``metrics.jsonl``, ``checkpoints/``, and at the end
``scores.json`` and ``README.md``; a task adds its own files (vocabularies, pictures). Nothing in it is pickled.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recurra.errors import BadInput
from recurra.files import write_text
from recurra.training.checkpoint import Tree, mend, read_checkpoint, write_checkpoint

FORMAT = 1
"""Counts up when a change makes older folders unreadable."""

KEPT_CHECKPOINTS = 2


class RunFolder:
    """The files of one run; create one with :meth:`create`, open one with :meth:`open`."""

    def __init__(self, path: Path, record: dict[str, Any]) -> None:
        self.path = path
        self.record = record

    @classmethod
    def create(cls, path: Path, record: dict[str, Any]) -> "RunFolder":
        """A new folder holding ``config.json``.

        Args:
            record: task, configuration, data and command, as JSON.

        Raises:
            BadInput: ``path`` exists already; a run is never overwritten. (An empty folder is what a run killed in
                its first instant leaves, and is taken.)
        """
        if (path / "config.json").exists():
            raise BadInput(f"{path}: exists already; choose another --out, or continue that run with --resume")
        if path.exists() and (not path.is_dir() or any(not _is_part(inside) for inside in path.iterdir())):
            raise BadInput(f"{path}: exists already and is not a run folder; choose another --out")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{path}: cannot make this folder ({error.strerror}); choose another --out") from error
        record = {"format": FORMAT, **record}
        write_text(path / "config.json", json.dumps(record, indent=1) + "\n")
        return cls(path, record)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """An existing folder.

        Raises:
            BadInput: it is missing, not a run folder, damaged, or of another version.
        """
        config = path / "config.json"
        if not path.is_dir():
            raise BadInput(f"{path}: no such run folder; make one with: recurra fit TASK DATA --out {path}")
        try:
            record = json.loads(config.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BadInput(f"{path}: not a run folder (no config.json in it)") from error
        except (ValueError, OSError) as error:
            raise BadInput(f"{config}: cannot be read as JSON ({error}); restore it or train again") from error
        if not isinstance(record, dict) or "format" not in record:
            raise BadInput(f"{config}: not written by Recurra (no format in it); check the path")
        if record["format"] != FORMAT:
            raise BadInput(
                f"{config}: format {record['format']}, but this version reads format {FORMAT}; "
                f"it was written by Recurra {record.get('version', 'unknown')}: install that version"
            )
        if missing := {"task", "config", "data", "hashes"} - record.keys():
            raise BadInput(f"{config}: damaged (no {min(missing)} in it); restore it or train again")
        return cls(path, record)

    @property
    def finished(self) -> bool:
        """Whether training ended and its scores were written."""
        return (self.path / "scores.json").exists()

    def scores(self) -> dict[str, Any]:
        """The scores written at the end of training.

        Raises:
            BadInput: the run has not finished, or the file is damaged.
        """
        file = self.path / "scores.json"
        if not self.finished:
            raise BadInput(
                f"{self.path}: this run has not finished; go on with: recurra fit … --out {self.path} --resume"
            )
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BadInput(
                f"{file}: cannot be read as JSON ({error}); delete it and resume: the scores are made anew"
            ) from error

    def write_json(self, name: str, value: Any) -> None:
        write_text(self.path / name, json.dumps(value, indent=1) + "\n")

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``."""
        try:
            with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise BadInput(
                f"{self.path / 'metrics.jsonl'}: cannot be written ({error.strerror}); mend that and resume: "
                "the last checkpoint is kept"
            ) from error

    def metrics(self) -> list[dict[str, Any]]:
        """Every whole line of ``metrics.jsonl`` (a kill may leave half a last line)."""
        file = self.path / "metrics.jsonl"
        if not file.exists():
            return []
        records = []
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                break
        return records

    def keep_metrics(self, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Drop the records that do not satisfy ``keep``: what a resumed run will log again."""
        records = [record for record in self.metrics() if keep(record)]
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in records))

    def save_weights(self, weights: Tree) -> None:
        write_checkpoint(self.path / "model.safetensors", weights)

    def load_weights(self) -> Tree:
        return read_checkpoint(self.path / "model.safetensors")

    def checkpoints(self) -> list[Path]:
        """Oldest first."""
        return sorted((self.path / "checkpoints").glob("update-*.safetensors"))

    def save_checkpoint(self, update: int, tree: Tree) -> None:
        """Write a checkpoint, then let go of those before the one before it."""
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        write_checkpoint(folder / f"update-{update:010}.safetensors", tree)
        for old in self.checkpoints()[:-KEPT_CHECKPOINTS]:
            old.unlink(missing_ok=True)

    def load_checkpoint(self) -> Tree | None:
        """The newest checkpoint, or None where there is none yet."""
        self._sweep()
        found = self.checkpoints()
        return read_checkpoint(found[-1]) if found else None

    def resume(self, take_over: Callable[[Tree], None]) -> None:
        """Hand the newest checkpoint to ``take_over``, where there is one.

        Raises:
            BadInput: it is damaged, or ``take_over`` found that it is not one of this run.
        """
        saved = self.load_checkpoint()
        if saved is None:
            return
        try:
            take_over(saved)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            path, reason = self.checkpoints()[-1], " ".join(str(error).split())
            raise BadInput(f"{path}: not a checkpoint of this run ({reason}); {mend(path)}") from error

    def _sweep(self) -> None:
        for part in [*self.path.iterdir(), *(self.path / "checkpoints").glob("*")]:
            if _is_part(part):
                part.unlink(missing_ok=True)


def _is_part(path: Path) -> bool:
    """Whether this is what :func:`recurra.files.replacing` leaves when killed."""
    return path.name.startswith(".") and path.name.endswith(".part")
