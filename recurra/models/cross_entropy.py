"""The loss of a softmax layer without all of its logits: a block of rows at a time, gradients formed on the way."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from recurra.recurrence.cpu.softmax import softmax_errors, takes

IGNORED = -100
LOGITS_BYTES = 32 << 20
"""Of one block. Half as much costs 2 to 5 % at 10,000 words; the C library maps larger buffers afresh by default."""


def linear_cross_entropy(
    hidden: Float[Tensor, "N H"],
    weight: Float[Tensor, "V H"],
    bias: Float[Tensor, " V"],
    targets: Int[Tensor, " N"],
    *,
    divisor: float = 1.0,
) -> Float[Tensor, ""]:
    """The sum of -log softmax(W h + b)[target] over the rows, in nats, divided by ``divisor``; float32 at least.

    As ``cross_entropy(linear(hidden, weight, bias), targets, reduction="sum") / divisor``. Under autocast the products
    are taken in its type and the softmax in float32. The gradients are formed with the loss.

    Args:
        targets: classes 0 to V - 1; rows of -100 do not count.
        divisor: known here rather than applied afterwards, it costs no pass over the weight's gradient.

    Raises:
        RuntimeError: a target out of range; in ``backward``, a second call or one that is to be differentiated.
    """
    counted = targets != IGNORED
    if not counted.all():
        hidden, targets = hidden[counted], targets[counted]
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < len(weight):
        least, most = int(targets.min()), int(targets.max())
        raise RuntimeError(f"targets must lie in 0 to {len(weight) - 1}, got {least} to {most}")
    device = hidden.device.type
    kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    with torch.autocast(device, enabled=False):
        if torch.is_grad_enabled():
            loss: Tensor = _CrossEntropy.apply(hidden, weight, bias, targets, divisor, kind)
            return loss
        blocks = _errors(hidden.to(kind), weight.to(kind), bias, targets)
        return torch.stack([nats for _, nats in blocks]).sum() / divisor


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, divisor: float, kind: torch.dtype
    ) -> Tensor:
        x, w = hidden.to(kind), weight.to(kind)
        scaled = (hidden / divisor).to(kind)
        d_hidden, d_weight = torch.empty_like(hidden), torch.empty_like(weight)
        d_bias = torch.zeros_like(bias, dtype=torch.promote_types(kind, torch.float32))
        nats, begin = [], 0
        for error, block_nats in _errors(x, w, bias, targets, d_bias):
            nats.append(block_nats)
            rows = slice(begin, begin + len(error))
            torch.div(error @ w, divisor, out=d_hidden[rows])
            _add_product(d_weight, error.T, scaled[rows], first=begin == 0)
            begin = rows.stop
        ctx.gradients = d_hidden, d_weight, d_bias.div_(divisor).to(bias.dtype)
        return torch.stack(nats).sum() / divisor

    @staticmethod
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("linear_cross_entropy: its gradient cannot be differentiated again (create_graph=True)")
        if ctx.gradients is None:
            raise RuntimeError("linear_cross_entropy: the gradients were taken by an earlier backward; call it again")
        gradients, ctx.gradients = ctx.gradients, None
        if factor != 1:
            gradients = tuple(each * factor for each in gradients)
        return *gradients, None, None, None


def _errors(
    x: Tensor, w: Tensor, b: Tensor, targets: Tensor, total: Tensor | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Of every block of rows the gradient of its logits, softmax less one at the target, and its loss.

    The gradient lies in a buffer that the next block overwrites; its rows are added to ``total``, without which there
    is none. Of no rows there is a block too, an empty one.
    """
    rows = _rows(LOGITS_BYTES, len(w) * x.itemsize, len(x))
    buffer = x.new_empty(rows, len(w))
    for x_block, target_block in zip(x.split(rows), targets.split(rows), strict=True):
        products = torch.mm(x_block, w.T, out=buffer[: len(x_block)])
        losses = softmax_errors if takes(products) else _softmax_errors
        yield products, losses(products, b, target_block, total).sum()


def _softmax_errors(products: Tensor, bias: Tensor, targets: Tensor, total: Tensor | None) -> Tensor:
    """What `cpu.softmax.softmax_errors` does, by torch."""
    numbers = products.to(torch.promote_types(products.dtype, torch.float32)) + bias
    losses = cross_entropy(numbers, targets, reduction="none")
    if total is not None:
        error = numbers.softmax(1).scatter_add_(1, targets[:, None], -torch.ones_like(losses)[:, None])
        total += error.sum(0)
        products.copy_(error)
    return losses


def _rows(most: int, row: int, wanted: int) -> int:
    """Rows of ``row`` bytes in one of the equal parts of at most ``most`` bytes that ``wanted`` rows are cut into."""
    parts = -(-wanted * row // most)
    return max(1, -(-wanted // max(1, parts)))


def _add_product(total: Tensor, left: Tensor, right: Tensor, *, first: bool) -> None:
    """``total`` += ``left`` @ ``right`` in the type of ``total``; the ``first`` overwrites it."""
    if total.dtype != left.dtype:
        total.copy_(left @ right) if first else total.add_(left @ right)
    else:
        total.addmm_(left, right, beta=0 if first else 1)


def smoothed_cross_entropy(
    hidden: Float[Tensor, "N H"],
    weight: Float[Tensor, "V H"],
    bias: Float[Tensor, " V"],
    targets: Int[Tensor, " N"],
    smoothing: float,
    *,
    divisor: float = 1.0,
) -> Float[Tensor, ""]:
    r"""As :func:`linear_cross_entropy`, of targets that keep :math:`1 - \epsilon` and share the rest among all classes.

    No logit is formed for it: :math:`-\frac{1}{V} \sum_v \log p_v = -\log p_y + z_y - \bar z`, and the mean of all
    scores is that of one row, :math:`\bar W h + \bar b`.

    Args:
        smoothing: :math:`\epsilon`.

    Source: Szegedy et al. (2016), arXiv:1512.00567, section 7.
    """
    found = linear_cross_entropy(hidden, weight, bias, targets, divisor=divisor)
    if smoothing == 0.0:
        return found
    counted = targets != IGNORED
    hidden, targets = hidden[counted], targets[counted]
    rows = torch.nn.functional.embedding(targets, weight) - weight.mean(0)
    above = (hidden * rows).sum() + (bias[targets] - bias.mean()).sum()
    return found + smoothing / divisor * above
