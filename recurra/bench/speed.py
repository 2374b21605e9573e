"""One entry measured: a recurrence computed by everyone who can, compared, and timed in turns."""

import time
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch

from recurra.bench.contenders import CONTENDERS, HOUSE, LOOPS, OURS, STACKED, UNDER_AUTOCAST, missing
from recurra.bench.entry import Entry, autocast
from recurra.bench.machine import others_seconds
from recurra.bench.plan import LOOPED, Settings
from recurra.bench.problem import Contender, Problem, Results, largest_difference, make_problem, tolerance
from recurra.bench.roofline import Roofline
from recurra.bench.shapes import LOOP_SHAPES, flops
from recurra.bench.timing import Spread, alternate, spread
from recurra.cells import CELLS

PAUSE = 5e-3


def measure(entry: Entry, settings: Settings, roofline: Roofline) -> dict[str, Any]:
    """Check that all contenders compute the same, time them in turns, and say what came out, ready for JSON.

    A contender whose results differ is named under ``wrong``, one that raises under ``failed``; neither is timed.
    """
    torch.set_num_threads(entry.way.threads)
    problem = make_problem(entry, CELLS[entry.cell])
    # around a stream there is one context, whose calls are the steps; other calls have one each
    with autocast(entry.way.precision) if entry.streaming else nullcontext():
        contenders, results, failed = _first_calls(problem, _names(entry, settings))
        differences = _differences(results, problem)
        wrong = {
            name: share for name, share in differences.items() if not share <= tolerance(entry, ours=name in HOUSE)
        }
        before, start = others_seconds(), time.perf_counter()
        samples = alternate(
            {name: contender.call for name, contender in contenders.items() if name not in wrong},
            settings.pairs,
            pause=PAUSE if entry.mode == "streaming-paused" else 0.0,
            race=frozenset(settings.peers) - HOUSE if settings.race else frozenset(),
        )
        after, wall = others_seconds(), time.perf_counter() - start
    ratios = speedups(samples)
    operations = flops(problem.cells, entry.shape, entry.mode)
    least = roofline.seconds(problem.cells, entry)
    return {
        **entry.to_json(),
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


def _names(entry: Entry, settings: Settings) -> list[str]:
    """Who is asked: loops in Python only where the shapes are theirs, or where they alone were asked for."""
    out = set(missing(settings.peers))
    if entry.shape not in LOOP_SHAPES and not set(settings.peers) <= LOOPS:
        out |= LOOPS
    if entry.cell != LOOPED:
        out |= {"torch.compile"}  # compiling takes the better part of a minute a time: one recurrence shows it
    if entry.way.precision != "float32":
        out |= CONTENDERS.keys() - UNDER_AUTOCAST
    if entry.way.stacked:
        out |= CONTENDERS.keys() - STACKED
    if entry.way.threads != settings.threads[0]:
        out |= {"jax"}  # XLA keeps the number of threads that it started with
    return [OURS, *(name for name in settings.peers if name not in out)]


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


def _differences(results: dict[str, Results], problem: Problem) -> dict[str, float]:
    """Largest difference of each from the judge's results."""
    judge = _judge(results, problem)
    return {name: largest_difference(result, judge) for name, result in results.items()}


def _judge(results: dict[str, Results], problem: Problem) -> Results:
    """Those of torch.nn, or of whoever stands last where torch.nn has no such cell; rounded results have an exact one.

    A problem in bfloat16 is computed by torch.nn in float32 for this: torch's own rounding is then seen as well.
    """
    if problem.entry.way.precision == "float32":
        return results.get("torch.nn") or next(reversed(results.values()), {})
    way = problem.entry.way._replace(precision="float32")
    exact = replace(problem, entry=problem.entry._replace(way=way))
    with autocast("float32"):
        contender = CONTENDERS["torch.nn"](exact) or CONTENDERS["eager loop"](exact)
        assert contender is not None  # the loop computes any problem
        return contender.read(contender.call())
