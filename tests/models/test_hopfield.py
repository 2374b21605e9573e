"""Hopfield networks beside all of their states, one by one."""

from itertools import pairwise, product

import pytest
import torch

from recurra.models.hopfield import Hopfield
from tests.models.test_learning_rules import drawn

RULES = ("hebbian", "storkey", "pseudo-inverse")


def network(rule, count, units, seed=0, **options):
    made = Hopfield(units, rule, **options)
    made.store(drawn(count, units, seed))
    return made


def every_state(units):
    return torch.tensor(list(product((-1.0, 1.0), repeat=units)), dtype=torch.float64)


def energy_written_out(weights, state):
    units = range(len(state))
    return -sum(weights[i][j] * state[i] * state[j] for i in units for j in units) / 2


@pytest.mark.parametrize("rule", RULES)
def test_all_states_of_a_small_network(rule):
    memory = network(rule, 3, 9)
    states = every_state(9)
    energies = memory.energy(states)
    for number in (0, 77, 300):
        want = energy_written_out(memory.weights.tolist(), states[number].tolist())
        assert float(energies[number]) == pytest.approx(want, abs=1e-14)
    # a fixed point is a state from which no single turn lowers the energy
    turned = torch.stack([memory.energy(states * (1 - 2 * torch.eye(9)[unit])) for unit in range(9)], 1)
    minima = (turned >= energies.unsqueeze(1) - 1e-12).all(1)
    assert torch.equal(memory.stays(states), minima) and 0 < int(minima.sum()) < 100
    for updates in ("asynchronous", "synchronous"):
        found = memory.recall(states, updates, torch.Generator().manual_seed(0))
        assert torch.equal(memory.stays(found.states), ~found.alternates)
        assert torch.equal(found.sweeps == 0, minima)
        if updates == "asynchronous":
            assert not bool(found.alternates.any())
    assert bool(memory.stays(memory.patterns).all()) or rule == "hebbian"


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_energy_never_rises_from_unit_to_unit(rule, dtype):
    memory = network(rule, 12, 40, dtype=dtype)
    steps = list(memory.trajectory(drawn(20, 40, 1), generator=torch.Generator().manual_seed(2), parts=40))
    energies = torch.stack([memory.energy(states) for states in steps])
    rises = energies.diff(dim=0)
    assert float(rises.max()) <= 20 * torch.finfo(dtype).eps and float(energies[-1].mean() - energies[0].mean()) < -1
    for old, new in pairwise(steps):
        assert int((old != new).any(0).sum()) <= 1  # one unit at a time, the same for all rows


def test_asynchronous_recall_by_a_plain_loop():
    memory = network("hebbian", 8, 30)
    cue = drawn(1, 30, 5)
    found = memory.recall(cue, generator=torch.Generator().manual_seed(3))
    state, weights, generator = cue[0].tolist(), memory.weights.tolist(), torch.Generator().manual_seed(3)
    for _ in range(int(found.sweeps)):
        for unit in torch.randperm(30, generator=generator).tolist():
            field = sum(weights[unit][other] * state[other] for other in range(30))
            state[unit] = state[unit] if abs(field) < 1e-12 else (1.0 if field > 0 else -1.0)
    assert found.states[0].tolist() == state and int(found.sweeps) > 1


@pytest.mark.parametrize("updates", ["asynchronous", "synchronous"])
def test_other_rows_do_not_matter(updates):
    memory = network("hebbian", 9, 40)
    cues = drawn(30, 40, 1)
    together = memory.recall(cues, updates, torch.Generator().manual_seed(0))
    alone = [memory.recall(cue.unsqueeze(0), updates, torch.Generator().manual_seed(0)) for cue in cues]
    for field in range(3):
        assert torch.equal(together[field], torch.cat([each[field] for each in alone]))
    assert bool(together.alternates.any()) == (updates == "synchronous")


def test_two_units_that_want_to_differ_alternate():
    memory = Hopfield(2)
    memory.store(torch.tensor([[1.0, -1.0]]))
    found = memory.recall(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), "synchronous")
    assert found.alternates.tolist() == [True, False] and found.states[0].tolist() in ([1, 1], [-1, -1])
    assert found.sweeps[1] == 0
    settled = memory.recall(torch.tensor([[1.0, 1.0]]))
    assert sorted(settled.states[0].tolist()) == [-1, 1] and settled.sweeps.tolist() == [1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fields_of_zero_keep_the_state_whatever_the_rounding(dtype):
    memory = network("hebbian", 10, 301, dtype=dtype)
    states = torch.cat([drawn(200, 301, 1), memory.patterns.double()])
    patterns = memory.patterns.long()
    products = patterns.T @ patterns
    fields = states.long() @ products.fill_diagonal_(0)  # whole numbers: exact
    assert int((fields == 0).sum()) > 100
    want = torch.where(fields == 0, states.long(), fields.sign())
    step = list(memory.trajectory(states, "synchronous"))[1]
    assert torch.equal(step.long(), want)


def test_the_pseudo_inverse_keeps_as_many_as_are_independent():
    for count in (5, 30, 39):
        memory = network("pseudo-inverse", count, 40)
        assert int(torch.linalg.matrix_rank(memory.patterns)) == count == int(memory.stays(memory.patterns).sum())
    again = Hopfield(40, "pseudo-inverse")
    for part in memory.patterns.split(13):
        again.store(part)
    torch.testing.assert_close(again.weights, memory.weights, rtol=0, atol=1e-13)


def test_overlaps_and_capacities():
    memory = network("hebbian", 2, 100)
    same = memory.overlaps(memory.patterns)
    differing = int((memory.patterns[0] != memory.patterns[1]).sum())
    assert same.diagonal().tolist() == [1, 1] and float(same[0, 1]) == pytest.approx(1 - differing / 50)
    held = [Hopfield(100, rule).capacity for rule in RULES]
    assert held == pytest.approx([13.8, 32.95, 99], rel=1e-3)  # √(2 ln 100) = 3.0349


def test_states_are_binary():
    memory = Hopfield(3)
    for wrong in ([[1.0, 0.0, -1.0]], [[2.0, 1.0, 1.0]]):
        with pytest.raises(ValueError, match="states are 1 and -1"):
            memory.store(torch.tensor(wrong))
        with pytest.raises(ValueError, match="states are 1 and -1"):
            memory.recall(torch.tensor(wrong))
