"""Turns, samples and quartiles, on a clock that only the calls move."""

import numpy as np
import pytest

from recurra.bench import timing
from recurra.bench.timing import alternate, spread


@pytest.fixture
def clock(monkeypatch):
    """``clock(seconds)`` is a call that takes so long; ``clock.log`` holds the calls' seconds in order."""

    class Clock:
        def __init__(self):
            self.now, self.log = 0.0, []

        def __call__(self, seconds):
            def call():
                self.now += seconds
                self.log.append(seconds)

            return call

    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: clock.log.append(-seconds))
    return clock


def test_quartiles_are_those_of_numpy():
    values = np.random.default_rng(0).random(17).tolist()
    found = spread(values)
    assert [found.q1, found.median, found.q3] == pytest.approx(np.percentile(values, [25, 50, 75]).tolist())
    assert found.count == 17
    assert spread([3.0]).median == spread([3.0]).q1 == 3.0


def test_calls_take_turns_and_every_other_round_is_reversed(clock):
    samples = alternate({"a": clock(1.0), "b": clock(2.0)}, 4)
    assert samples == {"a": [1.0] * 4, "b": [2.0] * 4}
    assert clock.log == [1, 1, 2, 2] + [1, 2, 2, 1] * 2  # two calls of each beforehand


def test_short_calls_are_repeated_after_one_that_does_not_count(clock):
    samples = alternate({"a": clock(1e-3)}, 2)
    assert samples["a"] == pytest.approx([1e-3] * 2)
    assert len(clock.log) == 2 + 2 * (1 + 2)
    clock.log.clear()
    alternate({"a": clock(1e-7)}, 1)
    assert len(clock.log) == 2 + 1 + 100


def test_a_pause_before_every_call(clock):
    samples = alternate({"a": clock(1e-6)}, 2, pause=0.5)
    assert clock.log == [-0.5, 1e-6, -0.5, 1e-6] and samples["a"] == pytest.approx([1e-6] * 2)


def test_in_a_race_the_slow_leave_and_the_others_do_not(clock):
    calls = {"ours": clock(50.0), "fast": clock(1.0), "near": clock(1.9), "slow": clock(2.1)}
    samples = alternate(calls, 5, race=frozenset({"fast", "near", "slow"}))
    assert {name: len(found) for name, found in samples.items()} == {"ours": 5, "fast": 5, "near": 5, "slow": 3}
