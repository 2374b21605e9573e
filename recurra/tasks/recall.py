"""Associative memories of a user's own patterns: stored, recalled from damaged cues, and told how many they hold."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.analysis.hopfield import (
    RECALLED,
    Likeness,
    LoadPoint,
    capacity_curve,
    flipped,
    identify,
    random_patterns,
    some_of,
)
from recurra.data.patterns import Patterns
from recurra.errors import BadInput
from recurra.models.hopfield import Hopfield, Rule, Updates
from recurra.models.modern_hopfield import ContinuousRecall, ModernHopfield

CUES_AT_ONCE = 256
"""Of a continuous network, which compares each with every pattern."""

LOADS = 12
"""Numbers of patterns in a capacity curve, at most."""


class Outcome(NamedTuple):
    """What one cue came to.

    Args:
        came_to: in words.
        pattern: the place of the stored pattern that it is most like.
        overlap: m with that pattern or mixture; of real numbers the cosine.
        steps: sweeps, or updates of a continuous network.
        energies: before and after.
    """

    cue: str
    came_to: str
    pattern: int
    overlap: float
    steps: int
    energies: tuple[float, float]


class Recalled(NamedTuple):
    """What all cues came to.

    Args:
        outcomes: one a cue.
        states: (B, N).
        warnings: what is to be said of the patterns or the rule.
    """

    outcomes: list[Outcome]
    states: np.ndarray
    warnings: list[str]


class Trace(NamedTuple):
    """Cues on their way.

    Args:
        times: in sweeps or updates; (T,).
        states: (T, B, N).
        energies: (T, B).
    """

    times: list[float]
    states: np.ndarray
    energies: np.ndarray


class BinaryMemory:
    """A Hopfield network that holds ``stored``.

    Raises:
        BadInput: as many patterns as units, or more.
    """

    unit = "sweeps"

    def __init__(self, stored: Patterns, rule: Rule, updates: Updates, seed: int) -> None:
        values = torch.from_numpy(stored.values).double()
        count, units = values.shape
        self.names, self.updates, self.seed = stored.names, updates, seed
        self.network = Hopfield(units, rule)
        if count >= units:
            held = max(1, int(self.network.capacity))
            raise BadInput(
                f"{stored.path}: {count:,} patterns of {units:,} units, more than any rule holds; "
                f"take some (--first {held}), or --rule continuous"
            )
        self.network.store(values)

    def _warnings(self) -> list[str]:
        """Too many patterns for the rule, and some that do not stay."""
        network, said = self.network, []
        count, units = network.patterns.shape
        if count > max(1, network.capacity):
            said.append(
                f"{count:,} patterns are more than the {network.capacity:.3g} random ones of {units:,} units "
                f"that the rule {network.rule} holds"
            )
        if lost := int((~network.stays(network.patterns)).sum()):
            mend = "" if network.rule == "pseudo-inverse" else "; --rule pseudo-inverse holds them"
            said.append(f"{lost:,} of {count:,} stored patterns are no fixed points{mend}")
        return said

    def recall(self, names: Sequence[str], cues: np.ndarray) -> Recalled:
        """What each cue (B, N) came to."""
        given = torch.from_numpy(cues).double()
        found = self.network.recall(given, self.updates, self._generator())
        likenesses = identify(self.network.patterns, found.states)
        before, after = (self.network.energy(states).tolist() for states in (given, found.states))
        words = [
            f"two states in turn, one most like {self.names[likeness.patterns[0]]}"
            if alternates
            else self._in_words(likeness)
            for likeness, alternates in zip(likenesses, found.alternates.tolist(), strict=True)
        ]
        outcomes = [
            Outcome(name, said, likeness.patterns[0], likeness.overlap, steps, energies)
            for name, said, likeness, steps, energies in zip(
                names, words, likenesses, found.sweeps.tolist(), zip(before, after, strict=True), strict=True
            )
        ]
        return Recalled(outcomes, found.states.numpy(), self._warnings())

    def trace(self, cues: np.ndarray) -> Trace:
        """The same recall again, with every eighth of an asynchronous sweep."""
        parts = 8 if self.updates == "asynchronous" else 1
        steps = list(
            self.network.trajectory(torch.from_numpy(cues).double(), self.updates, self._generator(), parts=parts)
        )
        times = [number / parts for number in range(len(steps))]
        return _trace(times, steps, [self.network.energy(states) for states in steps])

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def _in_words(self, likeness: Likeness) -> str:
        named = [f"{'-' * (sign < 0)}{self.names[place]}" for place, sign in zip(*likeness[1:3], strict=True)]
        match likeness.kind:
            case "stored":
                return named[0]
            case "negative":
                return f"the negative of {named[0].removeprefix('-')}"
            case "mixture":
                return f"no stored pattern: a mixture of {', '.join(named)}"
        return f"no stored pattern: a spurious state, most like {named[0]}"


class ContinuousMemory:
    """A continuous Hopfield network that holds ``stored``."""

    unit = "updates"

    def __init__(self, stored: Patterns, beta: float) -> None:
        self.names = stored.names
        self.network = ModernHopfield(torch.from_numpy(stored.values).double(), beta)

    def recall(self, names: Sequence[str], cues: np.ndarray) -> Recalled:
        """What each cue (B, N) came to."""
        outcomes: list[Outcome] = []
        parts = []
        for given in torch.from_numpy(cues).double().split(CUES_AT_ONCE):
            found = self.network.recall(given)
            outcomes += self._outcomes(names[len(outcomes) : len(outcomes) + len(given)], given, found)
            parts.append(found.states.numpy())
        means = sum(outcome.came_to != self.names[outcome.pattern] for outcome in outcomes)
        said = f"{means:,} of {len(outcomes):,} cues came to a mean of several patterns; raise --beta"
        return Recalled(outcomes, np.concatenate(parts), [said] if means else [])

    def _outcomes(self, names: Sequence[str], cues: Tensor, found: ContinuousRecall) -> list[Outcome]:
        before, after = (self.network.energy(states).tolist() for states in (cues, found.states))
        weights, nearest = self.network.weights(found.states).max(1)
        cosines = torch.cosine_similarity(found.states, self.network.patterns[nearest])
        outcomes = []
        for row, name in enumerate(names):
            place = int(nearest[row])
            said = self.names[place]
            if weights[row] < RECALLED:
                said = f"no stored pattern: a mean of several, {float(weights[row]):.0%} of it {said}"
            energies = before[row], after[row]
            outcomes.append(Outcome(name, said, place, float(cosines[row]), int(found.updates[row]), energies))
        return outcomes

    def trace(self, cues: np.ndarray) -> Trace:
        """The same recall again, update by update."""
        steps = list(self.network.trajectory(torch.from_numpy(cues).double()))
        return _trace(list(range(len(steps))), steps, [self.network.energy(states) for states in steps])


def remember(
    stored: Patterns, rule: Rule | Literal["continuous"], beta: float, updates: Updates, seed: int
) -> BinaryMemory | ContinuousMemory:
    """A memory of the patterns.

    Raises:
        BadInput: as many binary patterns as units, or more.
    """
    return ContinuousMemory(stored, beta) if rule == "continuous" else BinaryMemory(stored, rule, updates, seed)


def damaged(values: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The patterns (P, N) with the sign of that share of each one's units turned."""
    return flipped(torch.from_numpy(values), share, torch.Generator().manual_seed(seed)).numpy()


def _trace(times: Sequence[float], steps: list[Tensor], energies: list[Tensor]) -> Trace:
    return Trace(list(times), torch.stack(steps).numpy(), torch.stack(energies).numpy())


def capacity_of(stored: Patterns, rule: Rule, flips: float, seed: int) -> dict[str, list[LoadPoint]]:
    """Recall against the number of patterns: of some of those stored, for each of three seeds, and of random ones.

    Raises:
        BadInput: there is only one pattern.
    """
    values = torch.from_numpy(stored.values).double()
    most = min(len(values), values.shape[1] - 1 if rule == "pseudo-inverse" else values.shape[1] // 2)
    if most < 2:
        raise BadInput(f"{stored.path}: {len(values)} pattern of {values.shape[1]} units; a curve needs several")
    counts = sorted({round(float(count)) for count in np.geomspace(1, most, LOADS)})
    draws = {"these patterns": some_of(values), "random patterns": random_patterns(values.shape[1])}
    seeds = range(seed, seed + 3)
    return {name: capacity_curve(draw, counts, rule, flips=flips, seeds=seeds) for name, draw in draws.items()}
