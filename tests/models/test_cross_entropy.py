"""The blockwise loss beside torch's linear layer and cross entropy."""

import pytest
import torch
from torch.nn import functional as F

from recurra.models import cross_entropy as module
from recurra.models.cross_entropy import IGNORED, linear_cross_entropy, smoothed_cross_entropy

N, H, V = 23, 7, 31


def problem(dtype=torch.float64, ignored=(0, 9, 22)):
    draw = torch.manual_seed(0)
    hidden, weight, bias = (torch.randn(shape, generator=draw, dtype=dtype) for shape in ((N, H), (V, H), (V,)))
    targets = torch.randint(V, (N,), generator=draw)
    targets[list(ignored)] = IGNORED
    return [each.requires_grad_() for each in (hidden, weight, bias)], targets


def plain(leaves, targets, divisor):
    return F.cross_entropy(F.linear(*leaves), targets, reduction="sum") / divisor


def blockwise(leaves, targets, divisor):
    return linear_cross_entropy(*leaves, targets, divisor=divisor)


@pytest.fixture(params=[1, 5, 20, 100], ids="{} rows in a block".format)
def rows(request, monkeypatch):
    monkeypatch.setattr(module, "LOGITS_BYTES", request.param * V * 8)


@pytest.fixture(params=["compiled", "by torch"])
def way(request, monkeypatch):
    if request.param == "by torch":
        monkeypatch.setattr(module, "takes", lambda logits: False)


@pytest.mark.parametrize("ignored", [(), (0, 9, 22), range(N)], ids=["all count", "some count", "none counts"])
@pytest.mark.parametrize("factor", [1.0, -0.3])
def test_loss_and_gradients_are_those_of_the_whole(rows, way, ignored, factor):
    leaves, targets = problem(ignored=ignored)
    found, wanted = blockwise(leaves, targets, 3.0), plain(leaves, targets, 3.0)
    torch.testing.assert_close(found, wanted, rtol=1e-13, atol=1e-13)
    pairs = zip(*(torch.autograd.grad(factor * loss, leaves) for loss in (found, wanted)), strict=True)
    for gradient, known in pairs:
        torch.testing.assert_close(gradient, known, rtol=1e-12, atol=1e-13)


def test_float32_is_as_near_to_the_truth_as_torch(rows, way):
    leaves, targets = problem(torch.float32)
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    truth = torch.autograd.grad(plain(exact, targets, 1.0), exact)
    for loss in (blockwise, plain):
        for gradient, true in zip(torch.autograd.grad(loss(leaves, targets, 1.0), leaves), truth, strict=True):
            torch.testing.assert_close(gradient.double(), true, rtol=1e-5, atol=2e-6)


def test_without_gradients_none_are_formed(rows, way):
    leaves, targets = problem()
    with torch.no_grad():
        loss = blockwise(leaves, targets, 2.0)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, plain(leaves, targets, 2.0).detach(), rtol=1e-13, atol=1e-13)


def test_autocast_is_as_near_to_the_truth_as_torch(rows, way):
    leaves, targets = problem(torch.float32)
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    truth = torch.autograd.grad(plain(exact, targets, 4.0), exact)
    for loss in (blockwise, plain):
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(leaves, targets, 4.0)
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(plain(exact, targets, 4.0).item(), rel=2**-8)
        for gradient, true in zip(torch.autograd.grad(value, leaves), truth, strict=True):
            assert gradient.dtype == torch.float32
            # 2 ** -9 is a rounding to bfloat16; weights, inputs, logits and errors are rounded once each
            assert (gradient - true).abs().max() < 4 * 2**-9 * true.abs().max()


def test_a_loss_too_large_for_a_probability_is_exact(way):
    hidden = torch.tensor([[1.0], [2.0], [0.0]], requires_grad=True)
    weight, bias = torch.tensor([[0.0], [400.0]]), torch.zeros(2)
    loss = linear_cross_entropy(hidden, weight, bias, torch.tensor([0, 0, 1]))
    assert loss.item() == pytest.approx(1200.693147, rel=1e-7)  # 400 + 800 + log 2
    (gradient,) = torch.autograd.grad(loss, hidden)
    assert gradient.tolist() == [[400.0], [400.0], [-200.0]]


def test_numbers_that_are_not_finite_stay_so(way):
    leaves, targets = problem()
    with torch.no_grad():
        leaves[0][3, 2] = torch.nan
    assert blockwise(leaves, targets, 1.0).isnan()


def test_a_target_out_of_range_is_an_error():
    leaves, targets = problem()
    for wrong in (V, -1):
        targets[4] = wrong
        with pytest.raises(RuntimeError, match=rf"targets must lie in 0 to {V - 1}"):
            blockwise(leaves, targets, 1.0)


def test_gradients_are_taken_once_and_not_differentiated():
    leaves, targets = problem()
    loss = blockwise(leaves, targets, 1.0)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="taken by an earlier backward"):
        loss.backward()
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        torch.autograd.grad(blockwise(leaves, targets, 1.0), leaves, create_graph=True)


def test_the_gradient_of_the_weights_is_not_copied():
    leaves, targets = problem()
    loss = blockwise(leaves, targets, 1.0)
    formed = loss.grad_fn.gradients[1].data_ptr()
    loss.backward()
    assert leaves[1].grad.data_ptr() == formed


def test_no_more_logits_exist_than_one_block_holds(monkeypatch):
    monkeypatch.setattr(module, "LOGITS_BYTES", 6 * V * 8)
    sizes = set()
    mm = torch.mm
    monkeypatch.setattr(
        torch, "mm", lambda *given, out: sizes.add(out.untyped_storage().nbytes()) or mm(*given, out=out)
    )
    leaves, targets = problem()
    blockwise(leaves, targets, 1.0)
    assert sizes == {5 * V * 8}  # 20 rows that count, in equal parts


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_smoothed_targets_are_torchs(smoothing):
    draw = torch.Generator().manual_seed(0)
    hidden, weight, bias = (
        torch.randn(*shape, generator=draw, dtype=torch.float64).requires_grad_() for shape in ((6, 5), (11, 5), (11,))
    )
    targets = torch.tensor([0, 10, -100, 3, 3, 7])
    found = smoothed_cross_entropy(hidden, weight, bias, targets, smoothing, divisor=4.0)
    logits = torch.nn.functional.linear(hidden, weight, bias)
    want = torch.nn.functional.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing) / 4
    torch.testing.assert_close(found, want, rtol=1e-12, atol=1e-12)
    pairs = zip(*(torch.autograd.grad(each, [hidden, weight, bias]) for each in (found, want)), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)
