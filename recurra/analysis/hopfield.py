"""How much a Hopfield network holds, from how far it recalls, and what else it falls into."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from recurra.models.hopfield import Hopfield, Rule

RECALLED = 0.95
"""The overlap from which on a state counts as a pattern: at the edge of its capacity Hebb's rule comes to 0.97."""

MOST_CUES = 50
"""Of the patterns of a network as many are asked for, at most; all of them have the same chance."""

Kind = Literal["stored", "negative", "mixture", "spurious"]
Draw = Callable[[int, torch.Generator], Tensor]
"""Gives so many patterns (P, N) of 1 and -1."""


class Likeness(NamedTuple):
    """What a state is.

    Args:
        patterns: the stored pattern it is most like, from 0 on; of a mixture, its three.
        signs: 1 or -1 of each.
        overlap: with the pattern, or with the mixture; below 0 for the negative of a pattern.
    """

    kind: Kind
    patterns: tuple[int, ...]
    signs: tuple[int, ...]
    overlap: float


def identify(patterns: Float[Tensor, "P N"], states: Float[Tensor, "B N"]) -> list[Likeness]:
    """Name each state: a stored pattern, the negative of one, the sign of a sum of three (each with a sign), or none.

    It counts as one of these where the overlap reaches 0.95.

    Source: the mixtures are those of Amit, Gutfreund and Sompolinsky (1985), Phys. Rev. A 32:1007.
    """
    overlaps = states @ patterns.T / states.shape[1]
    found = []
    for state, row in zip(states, overlaps, strict=True):
        nearest = row.abs().topk(min(3, len(row))).indices
        overlap, sign = float(row[nearest[0]]), int(row[nearest[0]].sign())
        kind: Kind = "stored" if overlap >= RECALLED else "negative" if overlap <= -RECALLED else "spurious"
        likeness = Likeness(kind, (int(nearest[0]),), (sign,), overlap)
        if kind == "spurious" and len(nearest) == 3 and row[nearest].all():
            signs = row[nearest].sign()
            mixture = float((signs @ patterns[nearest]).sign() @ state / len(state))
            if mixture >= RECALLED:
                chosen = tuple(nearest.tolist()), tuple(int(sign) for sign in signs)
                likeness = Likeness("mixture", *chosen, mixture)
        found.append(likeness)
    return found


def random_patterns(units: int) -> Draw:
    """Patterns whose every unit is 1 or -1 with the same chance."""
    return lambda count, generator: torch.randint(0, 2, (count, units), generator=generator).double() * 2 - 1


def some_of(patterns: Float[Tensor, "P N"]) -> Draw:
    """As many of these patterns, each at most once."""
    return lambda count, generator: patterns[torch.randperm(len(patterns), generator=generator)[:count]]


def flipped(
    patterns: Float[Tensor, "P N"], fraction: float, generator: torch.Generator | None = None
) -> Float[Tensor, "P N"]:
    """The patterns with the sign of so many of their units turned, drawn anew for each."""
    count = round(fraction * patterns.shape[1])
    chosen = torch.rand(patterns.shape, generator=generator).argsort(1)[:, :count]
    return patterns.scatter(1, chosen, -patterns.gather(1, chosen))


@dataclass(frozen=True)
class LoadPoint:
    """What networks that hold so many patterns recall; a figure for each seed.

    Args:
        patterns: P.
        load: P / N.
        wrong: the share of units that differ, between the pattern asked for and what its cue came to.
        recalled: the share of patterns that came back with an overlap of 0.95 at least.
    """

    patterns: int
    load: float
    wrong: tuple[float, ...]
    recalled: tuple[float, ...]


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The mean over seeds and its standard error (0 of one seed)."""
    return mean(values), stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0


def capacity_curve(
    draw: Draw, counts: Sequence[int], rule: Rule, *, flips: float = 0.0, seeds: Iterable[int] = range(5)
) -> list[LoadPoint]:
    """Recall of stored patterns against their number.

    The same networks hold more and more; cues are the stored patterns, asynchronous updates go on to the end.

    Args:
        counts: numbers of patterns, rising.
        flips: the share of a cue's units that are wrong.
    """
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        patterns = draw(max(counts), generator)
        network = Hopfield(patterns.shape[1], rule)
        for count in counts:
            network.store(patterns[len(network.patterns) : count])
            wanted = network.patterns[torch.randperm(count, generator=generator)[:MOST_CUES]]
            states = network.recall(flipped(wanted, flips, generator), generator=generator).states
            overlap = (states * wanted).mean(1)
            found[count].append((float((1 - overlap).mean() / 2), float((overlap >= RECALLED).double().mean())))
    points = []
    for count, pairs in found.items():
        wrong, recalled = zip(*pairs, strict=True)
        points.append(LoadPoint(count, count / patterns.shape[1], wrong, recalled))
    return points


def basin_size(network: Hopfield, generator: torch.Generator | None = None, *, step: float = 0.02) -> float:
    """The largest share of flipped units from which a stored pattern is still recalled; the mean over patterns.

    Units are flipped in one random order for each pattern, ``step`` of them more at a time up to a half, until what the
    cue comes to has an overlap below 0.95 with the pattern. One that is not recalled from itself counts as 0.
    """
    wanted = network.patterns[torch.randperm(len(network.patterns), generator=generator)[:MOST_CUES]]
    units = wanted.shape[1]
    place = torch.rand(wanted.shape, generator=generator).argsort(1).argsort(1)  # of each unit in the order of flips
    reached = torch.zeros(len(wanted), dtype=wanted.dtype)
    held = torch.arange(len(wanted))
    for number in range(int(0.5 / step + 1e-9) + 1):
        share = number * step
        cues = torch.where(place[held] < round(share * units), -wanted[held], wanted[held])
        states = network.recall(cues, generator=generator).states
        held = held[(states * wanted[held]).mean(1) >= RECALLED]
        if not len(held):
            break
        reached[held] = share
    return float(reached.mean())


@dataclass(frozen=True)
class SpuriousStates:
    """Where random starts end, by kind.

    Args:
        starts: how many of them come to a state of the kind.
        distinct: how many different states of the kind these are.
    """

    starts: dict[Kind, int]
    distinct: dict[Kind, int]


def spurious_states(network: Hopfield, starts: int, generator: torch.Generator | None = None) -> SpuriousStates:
    """The fixed points that asynchronous updates reach from random starts, named as by :func:`identify`."""
    cues = torch.randint(0, 2, (starts, len(network.weights)), generator=generator).to(network.weights) * 2 - 1
    states, counts = network.recall(cues, generator=generator).states.unique(dim=0, return_counts=True)
    kinds = [likeness.kind for likeness in identify(network.patterns, states)]
    reached: Counter[Kind] = Counter()
    for kind, count in zip(kinds, counts.tolist(), strict=True):
        reached[kind] += count
    return SpuriousStates(dict(reached), dict(Counter(kinds)))
