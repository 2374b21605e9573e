"""What Hopfield networks hold, beside published capacities and networks small enough to know."""

from itertools import product

import pytest
import torch

from recurra.analysis.hopfield import (
    basin_size,
    capacity_curve,
    flipped,
    identify,
    random_patterns,
    some_of,
    spread,
    spurious_states,
)
from recurra.models.hopfield import Hopfield
from tests.models.test_learning_rules import drawn


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_states_are_named():
    patterns = drawn(5, 60)
    mixture = (patterns[0] - patterns[3] + patterns[4]).sign()
    stray = drawn(1, 60, 9)[0]
    near = patterns[2].clone()
    near[0] *= -1
    found = identify(patterns, torch.stack([near, -patterns[1], mixture, stray]))
    assert [each.kind for each in found] == ["stored", "negative", "mixture", "spurious"]
    assert found[0].patterns == (2,) and found[0].overlap == pytest.approx(1 - 2 / 60)
    assert found[1][1:] == ((1,), (-1,), -1.0)
    assert dict(zip(*found[2][1:3], strict=True)) == {0: 1, 3: -1, 4: 1} and found[2].overlap == 1
    assert found[3].overlap == pytest.approx(float(max(patterns @ stray / 60, key=abs)))


def test_as_many_units_are_flipped_as_said():
    patterns = drawn(8, 50)
    cues = flipped(patterns, 0.3, seeded())
    assert (cues != patterns).sum(1).tolist() == [15] * 8
    assert len({tuple(row) for row in (cues != patterns).tolist()}) == 8
    assert torch.equal(flipped(patterns, 0.0), patterns) and torch.equal(flipped(patterns, 1.0), -patterns)


def test_hebbs_rule_breaks_down_where_amit_gutfreund_and_sompolinsky_say():
    """At 0.138 N 1.5 % of units are wrong; beyond it recall is lost."""
    below, above = capacity_curve(random_patterns(500), [60, 85], "hebbian", seeds=range(2))
    assert (below.load, above.load) == (0.12, 0.17)
    assert 0 < spread(below.wrong)[0] < 0.015 and min(below.recalled) > 0.9
    assert spread(above.wrong)[0] > 0.05 and max(above.recalled) < 0.8


def test_storkey_holds_more_than_hebb_and_the_projection_all():
    """At 0.28 N, the capacity N / √(2 ln N) of Storkey's rule for 200 units is 0.307 N."""
    wrong = {
        rule: capacity_curve(random_patterns(200), [56], rule, flips=0.05, seeds=range(2))[0]
        for rule in ("hebbian", "storkey", "pseudo-inverse")
    }
    assert spread(wrong["hebbian"].wrong)[0] > 0.2
    assert spread(wrong["storkey"].wrong)[0] < 0.002 and min(wrong["storkey"].recalled) == 1
    assert spread(wrong["pseudo-inverse"].wrong)[0] == 0


def test_a_curve_of_given_patterns_draws_among_them():
    given = drawn(6, 40)
    found = some_of(given)(4, seeded())
    assert len(set(map(tuple, found.tolist())) & set(map(tuple, given.tolist()))) == 4
    points = capacity_curve(some_of(given), [1, 6], "pseudo-inverse", seeds=[3, 4, 5])
    assert [(point.patterns, point.wrong, point.recalled) for point in points] == [
        (1, (0.0,) * 3, (1.0,) * 3),
        (6, (0.0,) * 3, (1.0,) * 3),
    ]


def test_the_spread_is_the_standard_error():
    assert spread([1.0, 2.0, 3.0]) == (2, pytest.approx(3**-0.5)) and spread([4.0]) == (4, 0)


def test_the_basin_of_a_single_pattern_is_half_of_all_states():
    network = Hopfield(51)
    network.store(drawn(1, 51))
    # 25 units may be wrong, not 26
    assert basin_size(network, seeded()) == pytest.approx(0.48)
    assert basin_size(network, seeded(), step=1 / 51) == pytest.approx(25 / 51)


def test_basins_shrink_with_the_load():
    sizes = []
    for count in (2, 12, 24, 60):
        network = Hopfield(200)
        network.store(drawn(count, 200))
        sizes.append(basin_size(network, seeded()))
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0.4 and sizes[-1] < 0.02


def test_every_fixed_point_of_a_small_network_is_reached_and_counted():
    network = Hopfield(10)
    network.store(drawn(3, 10, 4))
    states = torch.tensor(list(product((-1.0, 1.0), repeat=10)), dtype=torch.float64)
    fixed = states[network.stays(states)]
    kinds = [each.kind for each in identify(network.patterns, fixed)]
    found = spurious_states(network, 5000, seeded())
    assert sum(found.starts.values()) == 5000
    assert found.distinct == {kind: kinds.count(kind) for kind in set(kinds)} and len(found.distinct) >= 3


def test_one_pattern_has_itself_and_its_negative():
    network = Hopfield(31)
    network.store(drawn(1, 31))
    found = spurious_states(network, 200, seeded())
    assert found.distinct == {"stored": 1, "negative": 1} and min(found.starts.values()) > 60
