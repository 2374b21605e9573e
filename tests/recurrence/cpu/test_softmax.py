"""Errors of a softmax layer beside torch's loss and its gradient, in float64."""

import pytest
import torch
from torch.nn import functional as F

from recurra.recurrence.cpu.softmax import softmax_errors, takes

ROUNDING = {torch.float64: 2.0**-52, torch.float32: 2.0**-23, torch.bfloat16: 2.0**-8}


def known(logits, bias, targets):
    exact = (logits.double() + bias).requires_grad_()
    losses = F.cross_entropy(exact, targets, reduction="none")
    return losses.detach(), torch.autograd.grad(losses.sum(), exact)[0]


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("classes", [1, 2, 15, 16, 17, 63, 64, 65, 200, 1003])
@pytest.mark.parametrize("threads", [1, 2])
def test_losses_errors_and_their_sums(dtype, classes, threads, monkeypatch):
    monkeypatch.setattr("recurra.recurrence.cpu.softmax.SMALLEST_SHARE", 0)
    monkeypatch.setattr("recurra.recurrence.cpu.pool.threads", lambda: threads)
    draw = torch.manual_seed(classes)
    logits = (5 * torch.randn(7, classes, generator=draw)).to(dtype)
    if not takes(logits):
        pytest.skip(f"no code for {dtype} on this processor")
    targets = torch.randint(classes, (7,), generator=draw)
    bias = torch.randn(classes, generator=draw)
    losses, errors = known(logits, bias, targets)
    wide = torch.promote_types(dtype, torch.float32)
    total = torch.ones(classes, dtype=wide)
    found = softmax_errors(logits, bias, targets, total)
    assert found.dtype == wide
    unit = ROUNDING[wide]
    torch.testing.assert_close(found.double(), losses, rtol=4 * unit, atol=32 * unit)  # of numbers up to some 16
    torch.testing.assert_close(logits.double(), errors, rtol=ROUNDING[dtype], atol=16 * unit)
    torch.testing.assert_close(total.double(), 1 + errors.sum(0), rtol=0, atol=64 * unit)


def test_a_loss_alone_needs_no_total():
    logits, targets = torch.randn(3, 40), torch.tensor([0, 39, 7])
    losses, _ = known(logits, torch.ones(40), targets)
    torch.testing.assert_close(
        softmax_errors(logits, torch.ones(40), targets, None).double(), losses, rtol=1e-6, atol=1e-6
    )


def test_chances_of_nothing_and_numbers_that_are_none():
    logits = torch.zeros(4, 20)
    logits[0, 3], logits[1, 3], logits[2, 3], logits[3, :] = 200.0, -torch.inf, torch.nan, -1e30
    losses = softmax_errors(logits, torch.zeros(20), torch.tensor([3, 0, 0, 5]), torch.zeros(20))
    assert losses[0] == 0 and logits[0].count_nonzero() == 0
    assert losses[1].item() == pytest.approx(2.944438979, rel=1e-6)  # log 19
    assert logits[1, 3] == 0
    assert losses[2].isnan() and logits[2].isnan().all()
    assert losses[3].item() == pytest.approx(2.995732274, rel=1e-6)  # log 20


def test_no_rows():
    total = torch.zeros(5)
    assert softmax_errors(torch.zeros(0, 5), torch.zeros(5), torch.zeros(0, dtype=torch.int64), total).shape == (0,)
    assert total.count_nonzero() == 0


def test_targets_of_any_integers():
    logits, bias, targets = torch.randn(4, 9), torch.randn(9), torch.tensor([8, 0, 3, 5])
    wanted = softmax_errors(logits.clone(), bias, targets, None)
    for others in (targets.int(), targets.short(), targets.repeat_interleave(2)[::2]):
        assert torch.equal(softmax_errors(logits.clone(), bias, others, None), wanted)
