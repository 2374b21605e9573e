"""SnAp-1 against its definition: the full J, with what no unit reaches within one step set to zero after every step."""

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.func import functional_call

from recurra.recurrence import reference
from recurra.recurrence.state import map_state, same_structure, tensors
from recurra.training import rtrl, snap1
from tests.training.online.helpers import STEPS, UNITS, loss, make_cell, online, stream


@pytest.mark.parametrize("name", ["indrnn", "sru", "min-gru", "min-lstm", "lru"])
def test_of_elementwise_recurrences_nothing_is_left_out(name):
    cell, x = make_cell(name), stream()
    exact, found = online(rtrl, cell, x), online(snap1, cell, x)
    for parameter in exact:
        assert torch.equal(found[parameter], exact[parameter])


@pytest.mark.parametrize("name", ["elman", "LSTMCell", "gru", "gru-reset-before", "peephole-lstm"])
def test_equals_its_definition(name):
    cell, x = make_cell(name), stream(rows=1)
    expected = by_definition(cell, x)
    found = online(snap1, cell, x)
    torch.testing.assert_close(torch.cat([g.flatten() for g in found.values()]), expected, rtol=1e-10, atol=1e-10)
    exact = torch.cat([g.flatten() for g in online(rtrl, cell, x).values()])
    assert (exact - expected).abs().max() > 1e-3


def by_definition(cell, x):
    """For one row, with dense Jacobians; where B is not zero for a number of a unit, the unit is within reach."""
    names = [name for name, _ in cell.named_parameters()]
    sizes = [parameter.numel() for parameter in cell.parameters()]
    theta = torch.cat([parameter.detach().flatten() for parameter in cell.parameters()])
    start = reference.initial_state(cell, 1)

    def step(theta, s, now):
        parts = zip(names, theta.split(sizes), cell.parameters(), strict=True)
        weights = {name: part.view_as(like) for name, part, like in parts}
        leaves = iter(s[None].split([leaf.shape[1] for leaf in tensors(start)], dim=1))
        result = functional_call(cell, weights, (x[:, now], map_state(lambda _: next(leaves), start)))
        output, state = (result[0], result) if same_structure(result, start) else result
        return output, torch.cat([leaf[0] for leaf in tensors(state)])

    s = torch.cat([leaf[0] for leaf in tensors(start)])
    # a pattern of what is reached must not rest on this state's zeros: a start of other numbers tells it
    within = jacobian(lambda theta: step(theta, s + 0.3, 1)[1], theta) != 0
    within = within.view(-1, UNITS, len(theta)).any(0).repeat(len(within) // UNITS, 1)
    J, total = torch.zeros(len(s), len(theta), dtype=s.dtype), torch.zeros_like(theta)
    for now in range(STEPS):
        at_theta, at_s = jacobian(lambda theta, s, now=now: loss(step(theta, s, now)[0], now), (theta, s))
        total += at_theta + at_s @ J
        direct, A = jacobian(lambda theta, s, now=now: step(theta, s, now)[1], (theta, s))
        J = (A @ J + direct) * within
        s = step(theta, s, now)[1]
    return total
