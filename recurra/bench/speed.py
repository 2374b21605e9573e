"""One entry of the results: a recurrence at a shape, in one mode, computed by everyone who can."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from recurra.bench.contenders import CONTENDERS, HOUSE, LOOPS, OURS, PEERS, missing
from recurra.bench.machine import others_seconds
from recurra.bench.problem import TOLERANCE, Contender, Problem, Results, largest_difference, make_problem
from recurra.bench.roofline import Roofline
from recurra.bench.shapes import GRID, LOOP_SHAPES, SHAPES, Shape, flops, memory_bytes
from recurra.bench.timing import Spread, alternate, spread
from recurra.cells import CELLS

RECURRENCES = ("lstm", "gru", "elman")
LOOPED = "peephole-lstm"
"""What other libraries only have as a loop in Python."""

PAUSE = 5e-3
LONGEST_SECONDS, LARGEST_BYTES = 1.0, 8e9
"""Entries of the grid whose roofline or memory is above these are left out."""


@dataclass(frozen=True)
class Settings:
    """What is measured, and how often.

    Attributes:
        modes: of ``MODES``; a shape is measured in those of them that it has.
        peers: contenders beside Recurra, whether they are installed or not.
        race: a peer that falls behind the fastest is measured three times only.
    """

    shapes: tuple[Shape, ...] = SHAPES
    modes: tuple[str, ...] = ("inference", "training", "streaming", "streaming-paused")
    peers: tuple[str, ...] = PEERS
    threads: int = 1
    pairs: int = 15
    race: bool = False


class Key(NamedTuple):
    """Which entry: cell, shape and mode, as they are written."""

    cell: str
    shape: str
    mode: str


def planned(settings: Settings, roofline: Roofline) -> Iterator[tuple[str, Shape, str]]:
    """Cell, shape and mode of every entry; of the grid, those that are short and small enough, the shortest first."""
    entries = [
        (cell, shape, mode)
        for shape in settings.shapes
        for cell in (*RECURRENCES, *([LOOPED] if shape in LOOP_SHAPES else []))
        for mode in shape.modes
        if mode in settings.modes
    ]
    if settings.shapes != GRID:
        yield from entries
        return
    # without storage: the largest weights of the grid are never made for this
    with torch.device("meta"):
        cells = {(cell, shape.H): CELLS[cell](shape.H, shape.H) for cell, shape, _ in entries}
    seconds = {entry: roofline.seconds(cells[entry[0], entry[1].H], *entry[1:]) for entry in entries}
    for entry in sorted(entries, key=lambda entry: seconds[entry]):
        cell, shape, mode = entry
        if seconds[entry] < LONGEST_SECONDS and memory_bytes(cells[cell, shape.H], shape, mode) < LARGEST_BYTES:
            yield entry


def measure(cell: str, shape: Shape, mode: str, settings: Settings, roofline: Roofline) -> dict[str, Any]:
    """Check that all contenders compute the same, time them in turns, and say what came out, ready for JSON.

    A contender whose results differ is named under ``wrong``, one that raises under ``failed``; neither is timed.
    """
    problem = make_problem(cell, CELLS[cell], shape, mode)
    contenders, results, failed = _first_calls(problem, _names(problem, settings))
    differences = _differences(results)
    wrong = {name: share for name, share in differences.items() if not share <= TOLERANCE[mode]}
    before, start = others_seconds(), time.perf_counter()
    samples = alternate(
        {name: contender.call for name, contender in contenders.items() if name not in wrong},
        settings.pairs,
        pause=PAUSE if mode == "streaming-paused" else 0.0,
        race=frozenset(settings.peers) - HOUSE if settings.race else frozenset(),
    )
    after, wall = others_seconds(), time.perf_counter() - start
    ratios = speedups(samples)
    operations, least = flops(problem.cell, shape, mode), roofline.seconds(problem.cell, shape, mode)
    return {
        **Key(cell, str(shape), mode)._asdict(),
        "flops": operations,
        "roofline_seconds": least,
        "contenders": {
            name: {
                "seconds": spread(seconds).to_json(),
                "gflops": operations / spread(seconds).median / 1e9,
                "roofline_share": least / spread(seconds).median,
                "difference": differences[name],
                "note": contenders[name].note,
                "compile_seconds": contenders[name].compile_seconds,
            }
            for name, seconds in samples.items()
        },
        "speedups": {name: ratio.to_json() for name, ratio in ratios.items()},
        "fastest_peer": min(ratios.keys() - HOUSE, key=lambda name: ratios[name].median, default=None),
        "wrong": wrong,
        "failed": failed,
        "others_cores": None if before is None or after is None else max(0.0, after - before) / wall,
    }


def speedups(samples: dict[str, list[float]]) -> dict[str, Spread]:
    """How many times as fast as each peer Recurra is: ratios within the rounds that both were in."""
    ours = samples.get(OURS, [])
    return {
        name: spread([theirs / own for theirs, own in zip(seconds, ours, strict=False)])
        for name, seconds in samples.items()
        if name != OURS and ours
    }


def only(settings: Settings, peers: Collection[str]) -> Settings:
    """The same settings with only those of the peers."""
    return replace(settings, peers=tuple(name for name in settings.peers if name in peers))


def _names(problem: Problem, settings: Settings) -> list[str]:
    """Who is asked: loops in Python only where the shapes are theirs, or where they alone were asked for."""
    absent = missing(settings.peers)
    slow = LOOPS if problem.shape not in LOOP_SHAPES and not set(settings.peers) <= LOOPS else frozenset()
    # compiling takes the better part of a minute a time: one recurrence shows it
    slow = slow if problem.name == LOOPED else slow | {"torch.compile"}
    return [OURS, *(name for name in settings.peers if name not in absent and name not in slow)]


def _first_calls(problem: Problem, names: list[str]) -> tuple[dict[str, Contender], dict[str, Results], dict[str, str]]:
    """Who computes the problem, their results, and what those said who could not."""
    contenders, results, failed = {}, {}, {}
    for name in names:
        try:
            contender = CONTENDERS[name](problem)
            if contender is not None:
                results[name] = contender.read(contender.call())
                contenders[name] = contender
        except Exception as error:  # a peer may fail in any way; the others are measured all the same
            failed[name] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return contenders, results, failed


def _differences(results: dict[str, Results]) -> dict[str, float]:
    """Largest difference of each from torch.nn, or from whoever stands last where torch.nn has no such cell."""
    judge = "torch.nn" if "torch.nn" in results else next(reversed(results), "")
    return {name: largest_difference(result, results[judge]) for name, result in results.items()}
