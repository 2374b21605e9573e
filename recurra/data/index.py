"""A list of names, and the number of each: what an embedding or an output layer knows."""

from collections.abc import Iterable, Sequence

import numpy as np


class Index:
    """Names numbered from 1 on, as 0 stands for all others; or from 0 on, where every name is known.

    Args:
        names: each once.
        open: whether there are others.
    """

    def __init__(self, names: Sequence[str], *, open: bool) -> None:
        self.names, self.open = list(names), open
        self._numbers = {name: number for number, name in enumerate(self.names, int(open))}
        if len(self._numbers) != len(self.names):
            raise ValueError("a name stands twice")

    def __len__(self) -> int:
        return len(self.names) + self.open

    def __contains__(self, name: str) -> bool:
        return name in self._numbers

    def numbers(self, names: Iterable[str]) -> np.ndarray:
        """The number of each name, as int64.

        Raises:
            KeyError: a name is unknown, and there are no others.
        """
        if self.open:
            found = [self._numbers.get(name, 0) for name in names]
        else:
            found = [self._numbers[name] for name in names]
        return np.array(found, dtype=np.int64)
