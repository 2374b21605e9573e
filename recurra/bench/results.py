"""The results of a benchmark as a file: written after every entry, gone on with, compared with."""

import json
from importlib.metadata import PackageNotFoundError, version
from math import exp, log
from pathlib import Path
from typing import Any

import torch

from recurra.bench.contenders import OURS, missing
from recurra.bench.entry import Entry, Way
from recurra.bench.machine import describe_machine
from recurra.bench.plan import RECURRENCES, Settings
from recurra.bench.roofline import Roofline
from recurra.errors import BadInput
from recurra.files import write_text

_KINDS = ("inference", "training")
_GROUPS = ("all", *_KINDS, *RECURRENCES, *(f"{cell} {kind}" for cell in RECURRENCES for kind in _KINDS))

REFERENCES = ("torch.nn", "torchrecurrent")
"""The peers, the first that an entry has, whose ratios a check compares."""

_LIBRARIES = ("torch", "onnxruntime", "jax", "torchrecurrent", "llvmlite")


class Results:
    """What has been measured so far; in memory alone where there is no ``path``."""

    def __init__(self, path: Path | None, document: dict[str, Any]) -> None:
        self.path = path
        self.document = document

    @classmethod
    def start(cls, path: Path | None, settings: Settings, roofline: Roofline, *, command: str) -> "Results":
        """Nothing measured yet; the file, if there is one, is replaced when the first entry is."""
        return cls(
            path,
            {
                "command": command,
                "machine": describe_machine(),
                "versions": _versions(),
                "precision": _precision(settings),
                "threads": settings.threads[0],
                "pairs": settings.pairs,
                "missing": missing(settings.peers),
                "roofline": roofline.to_json(),
                "entries": [],
            },
        )

    @classmethod
    def resume(cls, path: Path, settings: Settings) -> "Results":
        """What an earlier call left in ``path``.

        Raises:
            BadInput: the file cannot be read, or was measured in another way or on another machine.
        """
        document = read_results(path)
        now: dict[str, Any] = {"machine": describe_machine(), "precision": _precision(settings)}
        now |= {"threads": settings.threads[0], "pairs": settings.pairs}
        for name, value in now.items():
            if document.get(name) != value:
                raise BadInput(f"{path}: measured with {name} {document.get(name)}, now {value}; name another --json")
        return cls(path, document)

    @property
    def done(self) -> set[Entry]:
        """The entries that are there."""
        return {Entry.from_json(entry) for entry in self.document["entries"]}

    def add(self, entry: dict[str, Any]) -> None:
        """Keep an entry, and write everything down."""
        self.document["entries"].append(entry)
        self.put("geometric_means", geometric_means(self.document["entries"]))

    def put(self, name: str, value: Any) -> None:
        """Keep a result that is not an entry, and write everything down."""
        self.document[name] = value
        if self.path is not None:
            write_text(self.path, json.dumps(self.document, indent=1) + "\n")


def read_results(path: Path) -> dict[str, Any]:
    """The document in ``path``.

    Raises:
        BadInput: no such file, or not one that ``recurra bench --json`` wrote.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        document.setdefault("precision", "float32")
        # results from before there were other ways are of one layer, one direction and float32
        plain = Way(threads=document.get("threads", 1))._asdict()
        document["entries"] = [plain | entry for entry in document["entries"]]
        for entry in document["entries"]:
            Entry.from_json(entry), entry["speedups"], entry["contenders"]
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(f"{path}: not written by recurra bench --json") from error
    return document


def geometric_means(entries: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Of the speeds over torch.nn, by way, contender and group.

    A group is a kind (inference, streaming with it, or training), a cell, a cell's kind, or all there is. Steps with a
    pause between them are the machine's waking up as much as the work, and stay out.
    """
    ratios: dict[str, dict[str, dict[str, list[float]]]] = {}
    for found in entries:
        seconds, entry = _medians(found), Entry.from_json(found)
        if "torch.nn" not in seconds or entry.mode == "streaming-paused":
            continue
        kind = "training" if entry.training else "inference"
        for name in seconds.keys() - {"torch.nn"}:
            groups = ratios.setdefault(str(entry.way), {}).setdefault(name, {})
            for group in ("all", kind, entry.cell, f"{entry.cell} {kind}"):
                groups.setdefault(group, []).append(seconds["torch.nn"] / seconds[name])
    return {
        way: {
            name: {group: _geometric_mean(groups[group]) for group in sorted(groups, key=_GROUPS.index)}
            for name, groups in sorted(found.items())
        }
        for way, found in ratios.items()
    }


def _medians(entry: dict[str, Any]) -> dict[str, float]:
    return {name: found["seconds"]["median"] for name, found in entry["contenders"].items()}


def _geometric_mean(values: list[float]) -> float:
    return exp(sum(map(log, values)) / len(values))


def over_fastest_peer(entries: list[dict[str, Any]]) -> list[tuple[float, Entry]]:
    """How many times as fast as the fastest peer Recurra is in each entry, the slowest entry first."""
    return sorted(
        (entry["speedups"][entry["fastest_peer"]]["median"], Entry.from_json(entry))
        for entry in entries
        if entry["fastest_peer"] is not None and entry["mode"] != "streaming-paused"
    )


def reference_of(entry: dict[str, Any]) -> str | None:
    """The peer whose ratio is compared in a check; none where a pause makes the ratio that of two awakenings."""
    if entry["mode"] == "streaming-paused":
        return None
    return next((name for name in REFERENCES if name in entry["speedups"]), None)


def fallen(recorded: dict[str, Any], measured: dict[str, Any], tolerance: float) -> str | None:
    """What to say where Recurra's speed over the reference peer fell by more than ``tolerance``, a share of it.

    Machines differ and are busy; the ratio of two neighbours in one process is what can be compared.
    """
    title = Entry.from_json(recorded)
    if OURS in measured["failed"]:
        return f"{title}: {measured['failed'][OURS]}"
    if OURS in measured["wrong"]:
        return f"{title}: results are wrong by {measured['wrong'][OURS]:.1e} of the largest value"
    name = reference_of(recorded)
    if name is None or name not in measured["speedups"]:
        return None
    before, now = (entry["speedups"][name]["median"] for entry in (recorded, measured))
    if now >= before * (1 - tolerance):
        return None
    return f"{title}: {now:.2f} times as fast as {name}, was {before:.2f}"


def _precision(settings: Settings) -> str:
    return " and ".join(settings.precisions)


def _versions() -> dict[str, str]:
    found = {"torch": str(torch.__version__)}
    for name in _LIBRARIES[1:]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
