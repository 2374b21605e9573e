"""Cases as tensors, a batch at a time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data.buckets import Buckets, by_length
from recurra.tasks.classification.reading import Part

MOST_STEPS = 100_000
"""In a batch that is only to be scored, padding included."""


class Batch(NamedTuple):
    """Some cases: tokens ``(B, T)`` or series ``(B, T, D)``, zeros behind the ends, and the steps of each ``(B,)``."""

    x: Tensor
    lengths: Tensor


def collate(cases: Sequence[np.ndarray]) -> Batch:
    """A batch of cases, each (T,) integers or (T, D) numbers."""
    lengths = [len(case) for case in cases]
    tokens = cases[0].ndim == 1
    x = np.zeros((len(cases), max(lengths), *cases[0].shape[1:]), np.int64 if tokens else np.float32)
    for row, case in zip(x, cases, strict=True):
        row[: len(case)] = case
    return Batch(torch.from_numpy(x), torch.tensor(lengths))


class TrainingBatches:
    """The batches of an epoch, with their targets."""

    def __init__(self, part: Part, batch_size: int, *, seed: int, epoch: int) -> None:
        self._part = part
        self._buckets = Buckets(part.lengths, batch_size, seed=seed, epoch=epoch)

    def __len__(self) -> int:
        return len(self._buckets)

    def __getitem__(self, number: int) -> tuple[Batch, Tensor]:
        cases = self._buckets[number]
        return collate([self._part[case] for case in cases.tolist()]), torch.from_numpy(self._part.targets[cases])

    @property
    def padding(self) -> float:
        """The part of all steps, 0 to 1, that is behind a case's end."""
        return self._buckets.padding


def scoring_batches(part: Part, batch_size: int) -> Iterator[tuple[np.ndarray, Batch]]:
    """All cases of a part from the shortest to the longest, and which they are."""
    for cases in by_length(part.lengths, batch_size, MOST_STEPS):
        yield cases, collate([part[case] for case in cases.tolist()])
