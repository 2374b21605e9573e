"""Fused layers beside their cells' own loops, on random cells.

    python benchmarks/random_cells.py [--examples 10000] [--seed 0] [--workers 1] [--json FILE]

Every cell, in float64 and float32, forward and backward, with states, lengths and resets: outputs, last state and every
gradient. Where the two sides of a branch meet, rounding may choose the other side; such a difference goes away with
other inputs and is counted as a kink, any other as a mismatch, by its seed. Exits with 1 where there is one.
"""

import argparse
import json
import multiprocessing
import random
import sys
import time
from collections import Counter
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


def path_of(layer: Recurrent) -> tuple[str, str]:
    """How a layer runs, "cpu" or "reference", and why."""
    explanation = layer.explain()
    return explanation.path, str(explanation.reason)


def error(layer: Recurrent, dtype: torch.dtype, draw: random.Random) -> float:
    given = problem(layer, layer.cell.input_size, draw, dtype)
    fused = everything(layer, given, layer(*given))
    return difference(fused, everything(layer, given, by_reference(layer, given)))


def compare(seeds: range, dtype: torch.dtype) -> dict[str, Any]:
    """The counts of one type."""
    paths: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    kinks, mismatches, worst, worst_seed = [], [], 0.0, None
    for seed in seeds:
        layer = Recurrent(random_cell(random.Random(seed)).to(dtype))
        draw = random.Random(seed)
        largest = error(layer, dtype, draw)
        if not largest <= BOUNDS[dtype]:
            again = [error(layer, dtype, draw) for _ in range(3)]
            (kinks if max(again) <= BOUNDS[dtype] else mismatches).append(seed)
        elif largest > worst:
            worst, worst_seed = largest, seed
        path, reason = path_of(layer)
        paths[path] += 1
        if path == "reference":
            reasons[reason] += 1
    return {
        "paths": dict(paths),
        "reasons for the reference": dict(reasons.most_common()),
        "bound": BOUNDS[dtype],
        "largest difference": worst,
        "its seed": worst_seed,
        "kinks": kinks,
        "mismatches": mismatches,
    }


def compare_all(seeds: range, dtype: torch.dtype, workers: int) -> dict[str, Any]:
    """As `compare`, by several processes."""
    if workers == 1:
        return compare(seeds, dtype)
    shares = [seeds[worker::workers] for worker in range(workers)]
    with multiprocessing.get_context("spawn").Pool(workers, torch.set_num_threads, (1,)) as pool:
        parts = pool.starmap(compare, [(share, dtype) for share in shares])
    worst = max(parts, key=lambda part: part["largest difference"])
    return {
        **worst,
        "paths": dict(sum((Counter(part["paths"]) for part in parts), Counter())),
        "reasons for the reference": dict(
            sum((Counter(part["reasons for the reference"]) for part in parts), Counter())
        ),
        "kinks": sorted(seed for part in parts for seed in part["kinks"]),
        "mismatches": sorted(seed for part in parts for seed in part["mismatches"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare fused layers with their cells' own loops on random cells.")
    parser.add_argument("--examples", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes, each on one thread")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    began = time.perf_counter()
    seeds = range(options.seed, options.seed + options.examples)
    found = {str(dtype).removeprefix("torch."): compare_all(seeds, dtype, options.workers) for dtype in BOUNDS}
    result = {
        "command": " ".join(["python", "benchmarks/random_cells.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "examples": options.examples,
        "seed": options.seed,
        "seconds": round(time.perf_counter() - began, 1),
        **found,
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.json is not None:
        write_text(options.json, text + "\n")
    sys.exit(any(each["mismatches"] for each in found.values()))


if __name__ == "__main__":
    main()
