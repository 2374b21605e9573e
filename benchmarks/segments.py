"""Training that remembers all of a sequence beside training that remembers segments: peak memory, and time.

    python benchmarks/segments.py [--json benchmarks/results/segments.json]

An LSTM of 128 inputs and 128 units over 4 rows, float32; the loss is the sum of the outputs. Memory is what three
training calls add to a process's resident memory at their peak, less what the outputs take; x stands there before.
Every measurement is taken in a fresh process, both ways in turns; figures are medians.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from recurra.bench.fresh import in_fresh_process, peak_of
from recurra.bench.machine import describe_machine
from recurra.cells import LSTM
from recurra.files import write_text
from recurra.layers import Recurrent

BATCH, WIDTH = 4, 128
STEPS = (1_000, 3_000, 10_000, 30_000, 100_000)
TIMED = STEPS[:3]
WAYS = ("all", "segments")


def training(way: str, steps: int, threads: int) -> Any:
    """A training call, warm."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layer = Recurrent(LSTM(WIDTH, WIDTH), remember=way)

    def call(x: torch.Tensor) -> None:
        layer(x)[0].sum().backward()

    call(torch.randn(BATCH, 1_000, WIDTH))
    x = torch.randn(BATCH, steps, WIDTH)
    return lambda: call(x)


def memory(way: str, steps: int, threads: int) -> float:
    """MiB at the peak, the outputs not counted."""
    return (peak_of(training(way, steps, threads)) - 4 * BATCH * steps * WIDTH) / 2**20


def milliseconds(way: str, steps: int, threads: int) -> float:
    call = training(way, steps, threads)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1e3 * median(seconds[1:])


def in_turns(measure: Any, steps: int, threads: int, rounds: int) -> dict[str, float]:
    """The median of each way."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            found[way].append(in_fresh_process(measure, way, steps, threads))
    return {way: round(median(values), 1) for way, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure training that remembers segments.")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes for each figure")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    times = {steps: in_turns(milliseconds, steps, options.threads, options.rounds) for steps in TIMED}
    result = {
        "command": " ".join(["python", "benchmarks/segments.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "shape": {"cell": "LSTM", "rows": BATCH, "inputs": WIDTH, "units": WIDTH, "threads": options.threads},
        "milliseconds": times,
        "times as long": {steps: round(found["segments"] / found["all"], 3) for steps, found in times.items()},
        "peak MiB beside x and outputs": {
            steps: in_turns(memory, steps, options.threads, options.rounds) for steps in STEPS
        },
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.json is not None:
        write_text(options.json, text + "\n")


if __name__ == "__main__":
    main()
