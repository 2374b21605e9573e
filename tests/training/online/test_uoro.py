"""UORO is right on average: many estimates of one gradient against that of BPTT."""

import pytest
import torch

from recurra.training import uoro
from tests.training.online.helpers import by_bptt, make_cell, online, stream

ROWS, GROUPS = 200, 40


@pytest.mark.parametrize("name", ["elman", "lstm", "LSTMCell"])
def test_the_mean_is_the_gradient(name):
    cell, x = make_cell(name), stream(steps=4, rows=1)
    expected = torch.cat([g.flatten() for g in by_bptt(cell, x).values()])
    torch.manual_seed(0)
    copies = x.expand(ROWS, -1, -1)  # every row draws its own signs
    means = torch.stack(
        [torch.cat([g.flatten() for g in online(uoro, cell, copies).values()]) / ROWS for _ in range(GROUPS)]
    )
    error = means.std(0) / GROUPS**0.5
    noisy = error > 1e-12
    z = (means.mean(0) - expected)[noisy] / error[noisy]
    # all parameters share one random vector of states: their errors go together, the mean of z² is hardly one of many
    assert noisy.float().mean() > 0.5 and z.abs().max() < 5 and 0.05 < (z**2).mean() < 5
    # what acts on the output of a step alone needs no estimate
    torch.testing.assert_close(means.mean(0)[~noisy], expected[~noisy], rtol=1e-9, atol=1e-9)


def test_the_same_signs_give_the_same_gradient():
    cell, x = make_cell("gru"), stream()
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(torch.cat([g.flatten() for g in online(uoro, cell, x).values()]))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
