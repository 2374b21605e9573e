"""Everything that a benchmark measures, in order, each result kept as soon as it is there."""

import time
from collections.abc import Callable
from typing import Any

import torch

from recurra.bench.cell_speed import measure_cells
from recurra.bench.entry import Entry
from recurra.bench.fresh import first_call, peak_training_memory
from recurra.bench.plan import Settings, planned
from recurra.bench.results import REFERENCES, Results, fallen, reference_of
from recurra.bench.roofline import Roofline
from recurra.bench.shapes import Shape
from recurra.bench.speed import measure, only
from recurra.cells import CELLS
from recurra.errors import BadInput

CELL_SHAPE = Shape(100, 32, 256)
FIRST_CALL_SHAPE = Shape(35, 20, 200)

Tell = Callable[[str], None]


def measure_entries(
    results: Results, settings: Settings, roofline: Roofline, tell: Tell, *, time_limit: float | None = None
) -> int:
    """Measure every planned entry that the results lack; how many are left when ``time_limit`` seconds have passed."""
    end = time.monotonic() + time_limit if time_limit is not None else float("inf")
    todo = [entry for entry in planned(settings, roofline) if entry not in results.done]
    for number, entry in enumerate(todo):
        if time.monotonic() > end:
            return len(todo) - number
        tell(f"{number + 1}/{len(todo)} {entry}")
        results.add(measure(entry, settings, roofline))
    return 0


def measure_rest(results: Results, settings: Settings, tell: Tell) -> None:
    """What is not an entry, where the results lack it: every cell's throughput, first calls, peak memory."""
    threads = settings.threads[0]
    torch.set_num_threads(threads)
    if "cells" not in results.document:
        tell(f"every cell, training, {CELL_SHAPE}")
        results.put("cells", measure_cells(CELLS, CELL_SHAPE, "training", settings.pairs))
    if "first_call" not in results.document:
        tell(f"first calls, {FIRST_CALL_SHAPE}")
        seconds = {cell: first_call(cell, FIRST_CALL_SHAPE, threads) for cell in CELLS}
        results.put("first_call", {"shape": str(FIRST_CALL_SHAPE), "seconds": seconds})
    if "peak_training_bytes" not in results.document:
        tell("peak memory")
        results.put("peak_training_bytes", _peaks(settings))


def check(document: dict[str, Any], settings: Settings, roofline: Roofline, tolerance: float, tell: Tell) -> list[str]:
    """Measure again what the document holds of the settings' shapes and modes; what fell, one line each.

    A fall has to show twice in a row: a neighbour on the machine makes single ones.

    Raises:
        BadInput: there is nothing of them to measure.
    """
    recorded = [entry for entry in document["entries"] if _chosen(entry, settings) and reference_of(entry)]
    if not recorded:
        shapes, ways = (" or ".join(map(str, found)) for found in (settings.shapes, settings.ways))
        there = " and ".join(dict.fromkeys(str(Entry.from_json(entry).way) for entry in document["entries"]))
        raise BadInput(f"nothing to check: no entry of shape {shapes} with {ways}; there is {there or 'none at all'}")
    quick = only(settings, REFERENCES)
    messages = []
    for number, found in enumerate(recorded):
        entry = Entry.from_json(found)
        tell(f"{number + 1}/{len(recorded)} {entry}")
        for _ in range(2):
            message = fallen(found, measure(entry, quick, roofline), tolerance)
            if message is None:
                break
        if message is not None:
            messages.append(message)
    return messages


def _chosen(found: dict[str, Any], settings: Settings) -> bool:
    entry = Entry.from_json(found)
    return entry.mode in settings.modes and entry.shape in settings.shapes and entry.way in settings.ways


def _peaks(settings: Settings) -> dict[str, dict[str, int | None]]:
    """Bytes of the LSTM's training by shape and contender."""
    return {
        str(shape): {
            name: peak_training_memory(name, "lstm", shape, settings.threads[0]) for name in ("recurra", "torch.nn")
        }
        for shape in settings.shapes
        if "training" in shape.modes
    }
