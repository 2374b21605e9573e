"""Runs of several seeds, and their scores beside figures published for others: what the scripts of scores share."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from recurra.bench.machine import describe_machine
from recurra.data.catalogue import locate
from recurra.files import write_text
from recurra.tasks.run import Run, fit


@dataclass(frozen=True)
class Row:
    """A model on a set.

    Args:
        data: a set of the catalogue, or "" for a task that makes its own.
        dev: "train" where all training cases are trained on, and none is left to choose by: the settings were chosen
            on a part of the training cases, and the best weights are those of the least training loss.
        wanted: what the median of the seeds is to reach.
        published: figures of others, with their sources.
    """

    task: str
    data: str
    options: dict[str, Any]
    wanted: str
    published: str
    dev: str | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    baselines: bool = True


def summary(run: Run) -> dict[str, Any]:
    found = run.scores
    parts = {part: {each["name"]: each["value"] for each in found["scores"][part]} for part in ("dev", "test")}
    return {**parts, "seconds": found["seconds"], "parameters": found["parameters"]}


def measure(name: str, row: Row, runs: Path, seeds: list[int]) -> dict[str, Any]:
    """What the runs of a row came to; those that ``runs`` holds are gone on with."""
    found = []
    for number, seed in enumerate(seeds):
        out = runs / f"{name}-{seed}"
        dev = locate(row.data)["train"] if row.dev == "train" else None
        run = fit(
            row.task,
            *([row.data] if row.data else []),
            dev=dev,
            out=out,
            resume=True,
            baselines=row.baselines and seed == row.seeds[0],
            seed=seed,
            **row.options,
        )
        found.append({"seed": seed, **summary(run)})
        if not number:
            others = {other: scores for other, scores in run.final_scores().items() if other != "model"}
            leading = run.final_scores()["model"][0]
    test = [each["test"][leading.name] for each in found]
    return {
        "data": row.data,
        "options": row.options,
        "wanted": row.wanted,
        "published": row.published,
        "score": f"{leading.name} ({leading.unit})",
        "signature": leading.signature,
        "median_test": median(test),
        "least_test": min(test),
        "most_test": max(test),
        "runs": found,
        "baselines": {other: {each.name: each.value for each in scores} for other, scores in others.items()},
    }


def main(rows: Mapping[str, Row], results: Path, description: str | None) -> None:
    """Measure the row that the command line names, and write it among ``results``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", choices=rows)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"), help="where runs are kept and resumed")
    parser.add_argument("--seeds", type=int, nargs="+", default=None)
    given = parser.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    row = rows[given.row]
    seeds = given.seeds or list(row.seeds)
    result = measure(given.row, row, given.runs, seeds)
    every = json.loads(results.read_text()) if results.exists() else {}
    every[given.row] = {
        "command": f"python benchmarks/{results.stem}.py {given.row} --seeds {' '.join(map(str, seeds))}",
        "machine": describe_machine(),
        **result,
    }
    write_text(results, json.dumps(every, indent=1) + "\n")
    print(json.dumps({key: value for key, value in every[given.row].items() if key != "machine"}, indent=1))
