"""Training that remembers all of a sequence beside training that remembers segments: peak memory, and time.

    python benchmarks/segments.py [--json benchmarks/results/segments.json]

An LSTM of 128 inputs and 128 units over 4 rows, float32, with the gradients of x and of the weights; that of the
outputs is given. Memory is what three training calls add to a process's resident memory at their peak, less the outputs
and the gradient of x, which are the caller's; each figure is from a fresh process. Times are taken in turns in one
process: a ratio is the median of those of neighbours.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

import torch

from recurra.bench.fresh import in_fresh_process, peak_of
from recurra.bench.machine import describe_machine, others_seconds
from recurra.cells import LSTM
from recurra.files import write_text
from recurra.layers import Recurrent

BATCH, WIDTH = 4, 128
STEPS = (1_000, 10_000, 30_000, 100_000)
WAYS = ("all", "segments")
MIB = 2**20


def training(way: str, steps: int, threads: int) -> Callable[[], None]:
    """A training call, warm."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layer = Recurrent(LSTM(WIDTH, WIDTH), remember=way)

    def call(x: torch.Tensor, gradient: torch.Tensor) -> None:
        torch.autograd.grad(layer(x)[0], [x, *layer.parameters()], gradient)

    call(*_tensors(1_000))
    given = _tensors(steps)
    return lambda: call(*given)


def _tensors(steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """x, and the gradient of the outputs."""
    return torch.randn(BATCH, steps, WIDTH).requires_grad_(), torch.randn(BATCH, steps, WIDTH)


def of_the_caller(steps: int) -> int:
    """Bytes of the outputs and the gradient of x."""
    return 2 * 4 * BATCH * steps * WIDTH


def memory(way: str, steps: int, threads: int) -> float:
    """MiB at the peak, the caller's not counted."""
    return (peak_of(training(way, steps, threads)) - of_the_caller(steps)) / MIB


def times(steps: int, threads: int) -> tuple[float, float, float, float]:
    """Milliseconds of each way, how many times as long the second takes, and the cores that others used meanwhile."""
    calls = [training(way, steps, threads) for way in WAYS]
    begin, before = time.perf_counter(), others_seconds()
    turns = [[_milliseconds(call) for call in calls] for _ in range(min(12, max(3, 30_000 // steps)))][1:]
    wall, after = time.perf_counter() - begin, others_seconds()
    first, second = (median(column) for column in zip(*turns, strict=True))
    others = nan if before is None or after is None else max(0.0, after - before) / wall
    return first, second, median(segments / whole for whole, segments in turns), others


def _milliseconds(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def measured(steps: int, threads: int, rounds: int) -> dict[str, Any]:
    """One length."""
    taken = [in_fresh_process(times, steps, threads) for _ in range(rounds)]
    first, second, ratio, others = (median(column) for column in zip(*taken, strict=True))
    return {
        "milliseconds": {"all": round(first, 1), "segments": round(second, 1)},
        "times as long": round(ratio, 3),
        "cores that others used": round(others, 2),
        "outputs and gradient of x, MiB": round(of_the_caller(steps) / MIB, 1),
        "peak beside them, MiB": {way: round(in_fresh_process(memory, way, steps, threads), 1) for way in WAYS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure training that remembers segments.")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes for each time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {
        "command": " ".join(["python", "benchmarks/segments.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "shape": {"cell": "LSTM", "rows": BATCH, "inputs": WIDTH, "units": WIDTH, "threads": options.threads},
        "steps": {},
    }
    for steps in options.steps:
        result["steps"][steps] = measured(steps, options.threads, options.rounds)
        print(steps, json.dumps(result["steps"][steps], indent=1), flush=True)
        if options.json is not None:
            write_text(options.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
