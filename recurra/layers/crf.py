"""Tags of a sequence scored as a whole: a linear-chain conditional random field."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from recurra.layers.recurrent import Recurrent
from recurra.recurrence.ragged import within


class Tagging(NamedTuple):
    """The best tags of every row, -1 behind a row's end, and their scores before normalisation."""

    tags: Int[Tensor, "B T"]
    scores: Float[Tensor, " B"]


class CRF(nn.Module):
    r"""Scores a row's tags y by what each step says of its tag, and by how well neighbours go together.

    .. math::
        s(x, y) &= a_{y_1} + \sum_t e_{t, y_t} + \sum_{t > 1} A_{y_{t-1}, y_t} + b_{y_T} \\
        \log p(y \mid x) &= s(x, y) - \log \sum_{y'} e^{s(x, y')}

    The sum over all taggings is a recurrence over t, run as one (:class:`Recurrent`); the probabilities of single tags
    are its gradients by e. Under autocast it is computed in the type of the weights all the same.

    Args:
        tags: how many there are, K.
        allowed: whether the tag of the row may be followed by that of the column, ``(K, K)``; all may, where it is not
            given.
        first, last: the tags that a row may begin and end with, ``(K,)``; with any, where they are not given.

    Raises:
        ValueError: fewer than one tag, or a mask of another shape.

    Source: Lafferty, McCallum and Pereira (2001); above a bidirectional LSTM, Huang et al. (2015), arXiv:1508.01991.
    """

    first: Bool[Tensor, " K"]
    last: Bool[Tensor, " K"]

    def __init__(
        self,
        tags: int,
        allowed: Bool[Tensor, "..."] | None = None,
        first: Bool[Tensor, "..."] | None = None,
        last: Bool[Tensor, "..."] | None = None,
    ) -> None:
        super().__init__()
        if tags < 1:
            raise ValueError(f"tags must be at least 1, got {tags}")
        allowed = torch.ones(tags, tags, dtype=torch.bool) if allowed is None else allowed
        first = torch.ones(tags, dtype=torch.bool) if first is None else first
        last = torch.ones(tags, dtype=torch.bool) if last is None else last
        for name, mask, shape in (
            ("allowed", allowed, (tags, tags)),
            ("first", first, (tags,)),
            ("last", last, (tags,)),
        ):
            if mask.shape != shape:
                raise ValueError(f"{name} must be {shape}, got {tuple(mask.shape)}")
        self.tags = tags
        self.a, self.b = nn.Parameter(torch.zeros(tags)), nn.Parameter(torch.zeros(tags))
        self.register_buffer("first", first)
        self.register_buffer("last", last)
        self.sums = Recurrent(_Forward(allowed))

    def log_likelihood(
        self, e: Float[Tensor, "B T K"], tags: Int[Tensor, "B T"], lengths: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, " B"]:
        """log p of each row's tags.

        Raises:
            ValueError: a row without steps, or tags that are not allowed to follow each other.
        """
        lengths, e = self._lengths(e, lengths), e.to(self.a.dtype)
        return self._score(e, tags, lengths) - self._log_sum(e, lengths)

    def marginals(self, e: Float[Tensor, "B T K"], lengths: Int[Tensor, " B"] | None = None) -> Float[Tensor, "B T K"]:
        """The probability of every tag at every step, 0 behind a row's end. Gradients do not flow."""
        with torch.enable_grad():
            e = e.detach().to(self.a.dtype).requires_grad_()
            (found,) = torch.autograd.grad(self._log_sum(e, self._lengths(e, lengths)).sum(), e)
        return found

    @torch.no_grad()
    def decode(self, e: Float[Tensor, "B T K"], lengths: Int[Tensor, " B"] | None = None) -> Tagging:
        """The best tagging of each row (Viterbi's algorithm); of equal ones that with the lower last tags."""
        lengths, e = self._lengths(e, lengths), e.to(self.a.dtype)
        score, back = self._start() + e[:, 0], []
        transitions = self._step.transitions
        running = within(lengths, e.shape[1])
        for t in range(1, e.shape[1]):
            best, before = (score.unsqueeze(2) + transitions).max(1)
            score = torch.where(running[:, t, None], best + e[:, t], score)
            back.append(torch.where(running[:, t, None], before, torch.arange(self.tags, device=e.device)))
        scores, last = (score + self._end()).max(1)
        path = [last]
        for before in reversed(back):
            path.append(before.gather(1, path[-1].unsqueeze(1)).squeeze(1))
        return Tagging(torch.stack(path[::-1], 1).masked_fill(~running, -1), scores)

    def _start(self) -> Tensor:
        return self.a.masked_fill(~self.first, -torch.inf)

    def _end(self) -> Tensor:
        return self.b.masked_fill(~self.last, -torch.inf)

    @property
    def _step(self) -> "_Forward":
        return self.sums.cell  # type: ignore[return-value]

    def _lengths(self, e: Tensor, lengths: Tensor | None) -> Tensor:
        if e.dim() != 3 or e.shape[2] != self.tags:
            raise ValueError(f"e must be (batch, time, {self.tags}), got {tuple(e.shape)}")
        if lengths is None:
            return torch.full((e.shape[0],), e.shape[1], device=e.device)
        if lengths.shape != e.shape[:1] or not ((lengths > 0) & (lengths <= e.shape[1])).all():
            raise ValueError(f"lengths must be ({e.shape[0]},) in 1 to {e.shape[1]}, got {lengths.tolist()}")
        return lengths

    def _score(self, e: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        running = within(lengths, e.shape[1])
        tags = tags.masked_fill(~running, 0)
        last = tags.gather(1, lengths.unsqueeze(1) - 1).squeeze(1)
        follow = running[:, 1:]
        broken = follow & ~self._step.allowed[tags[:, :-1], tags[:, 1:]]
        if broken.any() or not (self.first[tags[:, 0]] & self.last[last]).all():
            raise ValueError("tags that are not allowed to follow each other, or to begin or end a row")
        here = e.gather(2, tags.unsqueeze(2)).squeeze(2).masked_fill(~running, 0.0).sum(1)
        between = self._step.A[tags[:, :-1], tags[:, 1:]].masked_fill(~follow, 0.0).sum(1)
        return self.a[tags[:, 0]] + here + between + self.b[last]

    def _log_sum(self, e: Tensor, lengths: Tensor) -> Tensor:
        alpha = self._start() + e[:, 0]
        if e.shape[1] > 1:
            with torch.autocast(e.device.type, enabled=False):  # differences of large sums
                _, alpha = self.sums(e[:, 1:], alpha, lengths - 1)
        return torch.logsumexp(alpha + self._end(), 1)


class _Forward(nn.Module):
    """A step of the forward algorithm: alpha, the log of the summed scores of all beginnings that end in each tag.

    The sums are products with exp(A), of numbers moved so that the largest is 1. What is then no normal number counts
    as the least one: a beginning 10^37 times less likely than the likeliest.
    """

    allowed: Tensor

    def __init__(self, allowed: Tensor) -> None:
        super().__init__()
        self.input_size = self.output_size = len(allowed)
        self.A = nn.Parameter(torch.zeros(allowed.shape))
        self.register_buffer("allowed", allowed)

    @property
    def transitions(self) -> Tensor:
        """A, -inf where a tag must not follow."""
        return self.A.masked_fill(~self.allowed, -torch.inf)

    def initial_state(self, batch_size: int) -> Float[Tensor, "B K"]:
        """Nothing begun, every tag alike: what a layer needs to say how it would run before it has."""
        return self.A.new_zeros(batch_size, self.input_size)

    def forward(self, e: Float[Tensor, "B K"], alpha: Float[Tensor, "B K"]) -> tuple[Tensor, Tensor]:
        A = self.transitions
        highest, strongest = alpha.amax(1, keepdim=True).detach(), A.amax().detach()
        sums = torch.exp(alpha - highest) @ torch.exp(A - strongest)
        alpha = e + (highest + strongest) + sums.clamp(min=torch.finfo(sums.dtype).tiny).log()
        return alpha, alpha
