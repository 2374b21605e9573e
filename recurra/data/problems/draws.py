"""Random numbers of single examples: the same for the same seed and number, whatever batch they are drawn in."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

DEV, TEST = 2**63, 2**63 + 1
"""Seeds of the parts that models are scored on; those of training are below."""


class Draws:
    """A stream of random numbers for each example.

    Args:
        seed: 0 to 2**64 - 1.
        indices: numbers of the examples, from 0 on.

    Each stream is a Philox generator with the key (seed, index), so that none depends on another (Salmon, Moraes, Dror
    and Shaw 2011).
    """

    def __init__(self, seed: int, indices: Iterable[int]) -> None:
        keys = (np.array([seed, index], dtype=np.uint64) for index in indices)
        self._streams = [np.random.Generator(np.random.Philox(key=key)) for key in keys]

    def __len__(self) -> int:
        return len(self._streams)

    def uniform(self, count: int) -> np.ndarray:
        """Numbers in [0, 1), ``(B, count)``."""
        return self._each(lambda stream: stream.random(count))

    def normal(self, count: int) -> np.ndarray:
        """Of mean 0 and variance 1, ``(B, count)``."""
        return self._each(lambda stream: stream.standard_normal(count))

    def below(self, count: int, end: int | np.ndarray) -> np.ndarray:
        """Whole numbers in [0, end), ``(B, count)``.

        Args:
            end: far below 2**53; anything that broadcasts to the shape of the result.
        """
        return (self.uniform(count) * end).astype(np.int64)

    def _each(self, draw: Callable[[np.random.Generator], Any]) -> np.ndarray:
        return np.stack([draw(stream) for stream in self._streams])
