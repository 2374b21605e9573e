"""Timing several ways of doing the same thing in turns, so that a disturbance strikes all of them alike."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

SAMPLE_SECONDS = 2e-3
"""A sample is at least so long, or a hundred calls: what is shorter is lost in the clock and the other's caches."""

RACE_ROUNDS, RACE_FACTOR = 3, 2.0


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of ``count`` measurements: seconds, or ratios."""

    median: float
    q1: float
    q3: float
    count: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def spread(values: list[float]) -> Spread:
    """Quartiles by linear interpolation; a single value is its own."""
    q1, median, q3 = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Spread(median, q1, q3, len(values))


def alternate(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    *,
    pause: float = 0.0,
    race: frozenset[str] = frozenset(),
) -> dict[str, list[float]]:
    """Seconds of a call of each, sampled ``rounds`` times in turns, every other round in reverse order.

    A sample is the mean of as many calls as ``SAMPLE_SECONDS`` take, after an untimed one where a call is short: the
    threads of the one before may still spin, and the caches hold its data.

    Args:
        pause: seconds of sleep before every call; a sample is then one call.
        race: names that leave after ``RACE_ROUNDS`` rounds if they are ``RACE_FACTOR`` times as slow as the fastest
            of them; the others stay to the end.
    """
    repeats = {name: 1 if pause else _repeats(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    running = list(calls)
    for number in range(rounds):
        for name in running if number % 2 == 0 else reversed(running):
            samples[name].append(_sample(calls[name], repeats[name], pause))
        if number == RACE_ROUNDS - 1:
            running = _still_racing(running, samples, race)
    return samples


def _repeats(call: Callable[[], Any]) -> int:
    call()
    once = _timed(call, 1)
    return max(1, min(100, round(SAMPLE_SECONDS / once)))


def _sample(call: Callable[[], Any], repeats: int, pause: float) -> float:
    if pause:
        time.sleep(pause)
    elif repeats > 1:
        call()
    return _timed(call, repeats)


def _timed(call: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def _still_racing(running: list[str], samples: dict[str, list[float]], race: frozenset[str]) -> list[str]:
    fastest = min((min(samples[name]) for name in running if name in race), default=0.0)
    return [name for name in running if name not in race or min(samples[name]) <= RACE_FACTOR * fastest]
