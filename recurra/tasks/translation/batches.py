"""Pairs as padded batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.data.buckets import Buckets
from recurra.models.cross_entropy import IGNORED
from recurra.tasks.translation.reading import BOUNDARY, Part


class Batch(NamedTuple):
    """Pairs side by side.

    Args:
        source: tokens that are read, each row ending with the boundary.
        source_lengths: of its rows.
        given: what the decoder reads: the boundary, then the target without its last token.
        wanted: what it is to write, `IGNORED` behind a row's end.
        lengths: of both.
        own: where the decoder reads what it has drawn itself; None for nowhere.
    """

    source: Int[Tensor, "B S"]
    source_lengths: Int[Tensor, " B"]
    given: Int[Tensor, "B T"]
    wanted: Int[Tensor, "B T"]
    lengths: Int[Tensor, " B"]
    own: Bool[Tensor, "B T"] | None = None


def padded(rows: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Rows of tokens side by side, with the boundary behind their ends, and their lengths."""
    tensors = [torch.from_numpy(row.astype(np.int64)) for row in rows]
    lengths = torch.tensor([len(row) for row in rows])
    return pad_sequence(tensors, batch_first=True, padding_value=BOUNDARY), lengths


def batch(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Batch:
    """Pairs of tokens as a model is trained on them."""
    sources, targets = zip(*pairs, strict=True)
    source, source_lengths = padded(sources)
    target, lengths = padded(targets)
    given = torch.cat([torch.full_like(target[:, :1], BOUNDARY), target[:, :-1]], 1)
    behind = torch.arange(target.shape[1]) >= lengths.unsqueeze(1)
    return Batch(source, source_lengths, given, target.masked_fill(behind, IGNORED), lengths)


@dataclass(frozen=True)
class TrainingBatches:
    """An epoch's batches.

    Args:
        sampling: the chance that the decoder reads what it has drawn itself.
        seed: of where it does.
    """

    part: Part
    buckets: Buckets
    sampling: float
    seed: tuple[int, int]

    def __len__(self) -> int:
        return len(self.buckets)

    def __getitem__(self, index: int) -> Batch:
        found = batch([self.part.pair(number) for number in self.buckets[index].tolist()])
        if self.sampling == 0.0:
            return found
        draw = np.random.default_rng([*self.seed, index])
        return found._replace(own=torch.from_numpy(draw.random(found.given.shape) < self.sampling))
