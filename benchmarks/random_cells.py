"""Fused layers beside their cells' own loops, on random cells.

    python benchmarks/random_cells.py [--examples 10000] [--seed 0] [--workers 1] [--json FILE]
    python benchmarks/random_cells.py --merge FILE FILE ... --json FILE

Every cell, in float64 and float32, forward and backward, with states, lengths and resets: outputs, last state and every
gradient. Where the two sides of a branch meet, rounding may choose the other side; such a difference goes away with
other inputs and is counted as a kink, any other, and a failure, as a mismatch, by its seed. Cells that run step by step
are not compared: they are listed with the reason. Exits with 1 where there is one of either. Runs over other seeds of
the same commit can be merged.
"""

import argparse
import json
import math
import multiprocessing
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from recurra.bench.machine import describe_machine
from recurra.files import write_text
from recurra.layers.recurrent import Recurrent

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.recurrence.parity import by_reference, difference, everything, problem  # noqa: E402
from tests.recurrence.random_cells import random_cell  # noqa: E402

BOUNDS = {torch.float64: 1e-13, torch.float32: 2e-5}


def error(layer: Recurrent, dtype: torch.dtype, draw: random.Random) -> float:
    """The largest difference on inputs drawn at random; infinite where the layer fails."""
    given = problem(layer, layer.cell.input_size, draw, dtype)
    expected = everything(layer, given, by_reference(layer, given))
    try:
        return difference(everything(layer, given, layer(*given)), expected)
    except Exception:
        return math.inf


def compare(seeds: Iterable[int], dtype: torch.dtype) -> dict[str, Any]:
    """What one type gave."""
    by_reason: defaultdict[str, list[int]] = defaultdict(list)
    kinks, mismatches, worst, worst_seed = [], [], 0.0, None
    for seed in seeds:
        layer = Recurrent(random_cell(random.Random(seed)).to(dtype))
        draw = random.Random(seed)
        largest = error(layer, dtype, draw)
        explanation = layer.explain()
        if not largest <= BOUNDS[dtype]:
            gone = all(error(layer, dtype, draw) <= BOUNDS[dtype] for _ in range(3))
            (kinks if gone else mismatches).append(seed)
        elif explanation.path == "reference":
            by_reason[str(explanation.reason)].append(seed)
        elif largest > worst:
            worst, worst_seed = largest, seed
    return {
        "largest difference": worst,
        "its seed": worst_seed,
        "kinks": kinks,
        "mismatches": mismatches,
        "step by step": dict(by_reason),
    }


def merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What one type gave, from what shares of the seeds did."""
    by_reason: defaultdict[str, list[int]] = defaultdict(list)
    for part in parts:
        for reason, seeds in part["step by step"].items():
            by_reason[reason] += seeds
    return {
        **max(parts, key=lambda part: part["largest difference"]),
        "kinks": sorted(seed for part in parts for seed in part["kinks"]),
        "mismatches": sorted(seed for part in parts for seed in part["mismatches"]),
        "step by step": {reason: sorted(seeds) for reason, seeds in by_reason.items()},
    }


def compare_all(seeds: range, workers: int) -> dict[str, Any]:
    """What every type gave, by several processes."""
    shares = [seeds[worker::workers] for worker in range(workers)]
    with multiprocessing.get_context("spawn").Pool(workers, torch.set_num_threads, (1,)) as pool:
        return {name_of(dtype): merged(pool.starmap(compare, [(share, dtype) for share in shares])) for dtype in BOUNDS}


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def commit() -> str | None:
    """What is compared; None outside a checkout."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return found.stdout.strip() or None


def run(seed: int, examples: int, workers: int) -> dict[str, Any]:
    began = time.perf_counter()
    found = compare_all(range(seed, seed + examples), workers)
    part = {
        "command": " ".join(["python", "benchmarks/random_cells.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "commit": commit(),
        "seeds": [seed, seed + examples],
        "seconds": round(time.perf_counter() - began, 1),
    }
    return {"examples": examples, "bounds": {name_of(d): bound for d, bound in BOUNDS.items()}, **found, "runs": [part]}


def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Raises ValueError where the runs are not of one commit, or have seeds in common."""
    runs = sorted((part for result in results for part in result["runs"]), key=lambda part: part["seeds"])
    commits = {str(part["commit"]) for part in runs}
    if len(commits) > 1:
        raise ValueError(f"the runs must be of one commit, got {', '.join(sorted(commits))}")
    for one, other in zip(runs, runs[1:], strict=False):
        if one["seeds"][1] > other["seeds"][0]:
            raise ValueError(f"no seed may come twice, got {one['seeds']} and {other['seeds']}")
    return {
        **results[0],
        "examples": sum(result["examples"] for result in results),
        **{name_of(dtype): merged([result[name_of(dtype)] for result in results]) for dtype in BOUNDS},
        "runs": runs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare fused layers with their cells' own loops on random cells.")
    parser.add_argument("--examples", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--workers", type=int, default=1, help="processes, each on one thread")
    parser.add_argument("--merge", type=Path, nargs="+", metavar="FILE", help="results to put together instead")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.merge:
        result = merge([json.loads(file.read_text()) for file in options.merge])
    else:
        result = run(options.seed, options.examples, options.workers)
    text = json.dumps(result, indent=1)
    print(text)
    if options.json is not None:
        write_text(options.json, text + "\n")
    sys.exit(any(result[name_of(dtype)]["mismatches"] or result[name_of(dtype)]["step by step"] for dtype in BOUNDS))


if __name__ == "__main__":
    main()
