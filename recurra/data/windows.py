"""Windows on a long row of tokens, for truncated backpropagation through time and for scoring."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from recurra.data.token_file import Tokens
from recurra.errors import BadInput

IGNORED = -100  # a target that no loss counts, as in torch.nn.functional.cross_entropy

Window = tuple[Int64[Tensor, "B T"], Int64[Tensor, "B T"]]


class StatefulWindows:
    """A text as ``batch_size`` contiguous rows of equal length, read side by side in windows.

    ``windows[i]`` is (inputs, targets), the targets one token ahead. Row b of a window goes on where row b of the one
    before ended, so the state of the network is carried over. Every target in the rows counts exactly once in an epoch;
    a remainder of fewer than ``batch_size`` tokens at the end of the text is left out. The last window may be shorter.

    With ``stride`` < ``steps`` the windows overlap: each moves on by ``stride``, and only the targets of its last
    ``stride`` steps count (the others are -100), so every error is sent back at least ``steps - stride`` steps where
    the text allows it. The first windows are shorter, as there is nothing before the start. The state to carry into
    window i + 1 is the one after ``advance(i)`` steps of window i.

    Args:
        tokens: one text, N ids.
        batch_size: rows B.
        steps: most steps T in a window.
        stride: steps to move on, 1 to ``steps`` (the default).

    Raises:
        BadInput: fewer than ``batch_size * steps + 1`` tokens.
        ValueError: ``batch_size``, ``steps`` or ``stride`` out of range.

    Source: Williams and Peng (1990), Neural Computation 2(4): BPTT(h; h') with h = ``steps``, h' = ``stride``.
    """

    def __init__(self, tokens: Tokens, batch_size: int, steps: int, *, stride: int | None = None) -> None:
        stride = steps if stride is None else stride
        if batch_size < 1 or not 1 <= stride <= steps:
            raise ValueError(f"need batch_size >= 1 and 1 <= stride <= steps, got {batch_size=} {stride=} {steps=}")
        needed = batch_size * steps + 1
        if len(tokens) < needed:
            raise BadInput(
                f"the text has {len(tokens):,} tokens, but {batch_size} rows of {steps} steps need {needed:,}; "
                "use a longer text, or a smaller --batch-size or --steps"
            )
        self.tokens, self.batch_size, self.steps, self.stride = tokens, batch_size, steps, stride
        self.row_length = (len(tokens) - 1) // batch_size

    def __len__(self) -> int:
        """Windows in an epoch."""
        return -(-self.row_length // self.stride)

    def __getitem__(self, index: int) -> Window:
        """Inputs and targets of window ``index``, (B, T) each.

        Raises:
            IndexError: no such window.
        """
        begin, end = self._begin(index), min((index + 1) * self.stride, self.row_length)
        inputs, targets = _window(self.tokens, self.row_length, self.batch_size, begin, end)
        targets[:, : index * self.stride - begin] = IGNORED
        return inputs, targets

    def __iter__(self) -> Iterator[Window]:
        return (self[index] for index in range(len(self)))

    def advance(self, index: int) -> int:
        """The steps of window ``index`` before the next one begins (or before its end, for the last)."""
        following = self._begin(index + 1) if index + 1 < len(self) else self.row_length
        return following - self._begin(index)

    def _begin(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        return max(0, (index + 1) * self.stride - self.steps)


def evaluation_rows(tokens: Tokens, rows: int, steps: int) -> Iterator[Window]:
    """The whole text in windows of (rows, at most ``steps``), every token but the very first a target exactly once.

    As :class:`StatefulWindows`, but nothing is left out: row r + 1 begins with the last target of row r as its first
    input, and where rows end before the window does, inputs are 0 and targets -100.

    Raises:
        BadInput: fewer than two tokens: nothing to predict.
        ValueError: ``rows`` or ``steps`` below 1.
    """
    if rows < 1 or steps < 1:
        raise ValueError(f"need rows >= 1 and steps >= 1, got {rows=} {steps=}")
    if len(tokens) < 2:
        raise BadInput(f"the text has {len(tokens)} tokens, too few to predict one from another; give a longer text")
    row_length = -(-(len(tokens) - 1) // rows)
    for begin in range(0, row_length, steps):
        yield _window(tokens, row_length, rows, begin, min(begin + steps, row_length))


def _window(tokens: Tokens, row_length: int, rows: int, begin: int, end: int) -> Window:
    """Steps [begin, end) of rows that start every ``row_length`` tokens, filled up where the text is over."""
    inputs = np.zeros((rows, end - begin), np.int64)
    targets = np.full((rows, end - begin), IGNORED, np.int64)
    for row in range(rows):
        start = row * row_length
        stretch = tokens[start + begin : start + end + 1]
        known = max(0, len(stretch) - 1)
        inputs[row, :known], targets[row, :known] = stretch[:-1], stretch[1:]
    return torch.from_numpy(inputs), torch.from_numpy(targets)
