"""Batches of sequences of like lengths, so that little of a batch is padding."""

from collections.abc import Sequence

import numpy as np

POOL = 50
"""Batches whose sequences are sorted together: more of them pad less and mix less."""


class Buckets:
    """An epoch's batches: sequences in random order, sorted by length within pools of some batches, cut, and shuffled.

    The same seed and epoch give the same batches.

    Args:
        lengths: of every sequence.
        batch_size: sequences in a batch; the last of an epoch may have fewer.
        seed: of the order.
        epoch: which one it is.
        most_steps: a batch has fewer sequences where its longest would make it more steps than these, padding included.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        batch_size: int,
        *,
        seed: int,
        epoch: int,
        most_steps: int | None = None,
    ) -> None:
        self._lengths = np.asarray(lengths)
        draw = np.random.default_rng([seed, epoch])
        order = draw.permutation(len(self._lengths))
        size = POOL * batch_size
        self._batches: list[np.ndarray] = []
        for begin in range(0, len(order), size):
            pool = order[begin : begin + size]
            self._batches += [pool[batch] for batch in by_length(self._lengths[pool], batch_size, most_steps)]
        self._batches = [self._batches[number] for number in draw.permutation(len(self._batches))]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> np.ndarray:
        """The sequences of a batch, by their numbers, the longest last."""
        return self._batches[number]

    @property
    def padding(self) -> float:
        """The part of all batches' steps, 0 to 1, that is behind a sequence's end."""
        steps = sum(len(batch) * int(self._lengths[batch].max()) for batch in self._batches)
        return 1 - int(self._lengths.sum()) / steps if steps else 0.0


def by_length(lengths: Sequence[int] | np.ndarray, batch_size: int, most_steps: int | None) -> list[np.ndarray]:
    """All sequences from the shortest to the longest in batches, by their numbers.

    Args:
        most_steps: as of :class:`Buckets`; a sequence longer than that is a batch by itself.
    """
    order = np.argsort(lengths, kind="stable")
    ordered, found, begin = np.asarray(lengths)[order], [], 0
    while begin < len(order):
        end = min(begin + batch_size, len(order))
        if most_steps is not None:
            while end - begin > 1 and (end - begin) * int(ordered[end - 1]) > most_steps:
                end -= 1
        found.append(order[begin:end])
        begin = end
    return found
