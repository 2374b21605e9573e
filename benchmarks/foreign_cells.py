"""The cells of torchrecurrent, run by `recurra.Recurrent` as they are, beside their own Python loops.

    python benchmarks/foreign_cells.py [--examples 20] [--json benchmarks/results/foreign_cells.json]

For each of them, in float64 and float32: whether its step compiles and if not why, and the largest difference between
the layer and the cell called step by step, in outputs, last state and every gradient, over examples with states,
lengths and resets. Differences are a share of each tensor's own largest element, or of 1 where that is smaller. Exits
with 1 where one is above its bound.
"""

import argparse
import json
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from recurra.bench.machine import describe_machine
from recurra.files import write_text

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.recurrence.foreign import NAMES, SQUARE, foreign_layer  # noqa: E402
from tests.recurrence.parity import by_reference, difference, everything, problem  # noqa: E402

BOUNDS = {torch.float64: 1e-13, torch.float32: 2e-5}
HARD_SIGMOID = 1e-6
"""The bound in float64 for cells with torch's hardsigmoid, whose own gradient is 1/6 to seven digits only."""
WITH_HARD_SIGMOID = ("DSGUCell", "SGUCell")

INPUTS, UNITS = 5, 8


def compare(name: str, dtype: torch.dtype, examples: int) -> dict[str, Any]:
    """How one cell runs, and how far from its own loop."""
    torch.manual_seed(0)
    inputs = UNITS if name in SQUARE else INPUTS
    layer = foreign_layer(name, inputs, UNITS, dtype)
    bound = HARD_SIGMOID if dtype == torch.float64 and name in WITH_HARD_SIGMOID else BOUNDS[dtype]
    draw, largest = random.Random(0), 0.0
    for _ in range(examples):
        given = problem(layer, inputs, draw, dtype)
        found = everything(layer, given, layer(*given))
        largest = max(largest, difference(found, everything(layer, given, by_reference(layer, given))))
    faults = [plan.fault for plan in layer.plans.found if plan.fault is not None]
    return {
        "path": "reference" if faults else "cpu",
        "reason": str(faults[0]) if faults else None,
        "largest difference": largest,
        "bound": bound,
        "equal": largest <= bound,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare torchrecurrent's cells with their own loops.")
    parser.add_argument("--examples", type=int, default=20, help="batches for each cell and type")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    began = time.perf_counter()
    types = {str(dtype).removeprefix("torch."): dtype for dtype in BOUNDS}
    cells = {name: {word: compare(name, dtype, options.examples) for word, dtype in types.items()} for name in NAMES}
    result = {
        "command": " ".join(["python", "benchmarks/foreign_cells.py", *sys.argv[1:]]),
        "machine": describe_machine(),
        "torchrecurrent": version("torchrecurrent"),
        "examples": options.examples,
        "seconds": round(time.perf_counter() - began, 1),
        "cells": len(cells),
        "compiled": {word: sum(cell[word]["path"] == "cpu" for cell in cells.values()) for word in types},
        "equal": {word: sum(cell[word]["equal"] for cell in cells.values()) for word in types},
        "each": cells,
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.json is not None:
        write_text(options.json, text + "\n")
    sys.exit(any(not found["equal"] for cell in cells.values() for found in cell.values()))


if __name__ == "__main__":
    main()
