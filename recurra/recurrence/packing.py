"""Ragged batches without padding: the rows that run at a step, longest first, then those of the next step.

That is the order of torch's ``PackedSequence``. Whatever is done for all steps at once is done for just these rows, and
the rows of one step are the first ones of the step before.
"""

from bisect import bisect_left
from functools import cached_property
from itertools import accumulate
from operator import neg
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from recurra.recurrence.dual import is_forward


class Full(NamedTuple):
    """A batch all of whose rows run at every step; a series of it is ``(T, B, width)``, with any strides."""

    steps: int
    batch: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of a series, without its features."""
        return self.steps, self.batch

    @property
    def counts(self) -> frozenset[int]:
        return frozenset()

    def slice(self, begin: int, size: int) -> slice:
        """Of a series, ``size`` steps from ``begin`` on."""
        return slice(begin, begin + size)

    def last(self, left: Tensor, start: Tensor, *, kept: bool, backwards: bool) -> Tensor:
        """The last state, of those that the loop has left: one for each step, or two that alternate."""
        return left[self.steps - 1 if kept else (self.steps - 1) & 1]


class Packing:
    """Where the rows of a ragged batch stand, packed. What there is of each row or step is counted in Python: of so few
    numbers that takes less time than calls to PyTorch do.

    Args:
        running: the rows that run at each step: at least one, and never growing.
        batch: all rows, those without a step included.
        order: the row of the batch that each place is for, longest first; as they are where it is not given.

    Attributes:
        steps: of the longest row.
        total: steps of all rows.
        begins: where the rows of each step begin; before it 0, and after it where the last one ends. So three
            neighbours are where the step before, this step and the next begin.
    """

    def __init__(self, running: list[int], batch: int, order: list[int] | None = None) -> None:
        self.running, self.batch, self.order = running, batch, order
        self.steps = len(running)
        self._begins = [0, *accumulate(running, initial=0)]
        self.begins, self.total = torch.tensor(self._begins), self._begins[-1]
        self._first = running[0] if running else 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of a series, without its features."""
        return (self.total,)

    def part(self, begin: int, size: int) -> "Packing":
        """``size`` steps from ``begin`` on."""
        return self if size == self.steps else Packing(self.running[begin : begin + size], self.batch, self.order)

    def slice(self, begin: int, size: int) -> slice:
        """Of a series, ``size`` steps from ``begin`` on."""
        return slice(self._begins[begin + 1], self._begins[begin + size + 1])

    @cached_property
    def counts(self) -> frozenset[int]:
        """The numbers of rows that occur."""
        return frozenset(self.running)

    @cached_property
    def lengths(self) -> list[int]:
        """Of the rows, longest first."""
        return [bisect_left(self.running, -row, key=neg) for row in range(self.batch)]

    @cached_property
    def steps_and_rows(self) -> tuple[Int[Tensor, " N"], Int[Tensor, " N"]]:
        """The step and the row that each place is for."""
        steps, rows = (self.begins.diff()[1:, None] > torch.arange(self.batch)).nonzero(as_tuple=True)
        return steps, rows

    @cached_property
    def rows_in_order(self) -> Int[Tensor, " N"]:
        """The row of the batch that each place is for."""
        rows = self.steps_and_rows[1]
        return rows if self.order is None else torch.tensor(self.order)[rows]

    @cached_property
    def before(self) -> Int[Tensor, " M"]:
        """For each place after the first step, the place of the same row a step earlier."""
        later = torch.arange(self._first, self.total)
        return later - self.begins.diff()[self.steps_and_rows[0][self._first :]]

    @cached_property
    def ends(self) -> Int[Tensor, " R"]:
        """The places of the last steps of the rows that have any."""
        lengths = enumerate(self.lengths[: self._first])
        return torch.tensor([self._begins[length] + row for row, length in lengths], dtype=torch.int64)

    @cached_property
    def backwards(self) -> Int[Tensor, " N"]:
        """For each place the one that has it in its stead where every row is read from its end."""
        steps, rows = self.steps_and_rows
        return self.begins[torch.tensor(self.lengths)[rows] - steps] + rows

    def last(self, left: Tensor, start: Tensor, *, kept: bool, backwards: bool) -> Tensor:
        """The last state of each row, of those that the loop has left: packed, or two of each that alternate and were
        where it began. Backwards all rows end with the first step."""
        if kept:
            ended = left.index_select(0, self.ends)
            return ended if self._first == self.batch else torch.cat([ended, start[self._first :]])
        if backwards:
            return left[(self.steps - 1) & 1]
        places = [(length - 1 & 1) * self.batch + row for row, length in enumerate(self.lengths)]
        return left.flatten(0, 1).index_select(0, torch.tensor(places))

    def sorted(self) -> Int[Tensor, " B"] | None:
        """The row of the batch that each place is for; None where that is its own."""
        return None if self.order is None else torch.tensor(self.order)

    def unsorted(self) -> Int[Tensor, " B"] | None:
        """The place of each row of the batch."""
        if self.order is None:
            return None
        return torch.tensor(sorted(range(self.batch), key=self.order.__getitem__))


def pack_lengths(lengths: Int[Tensor, " B"]) -> Packing:
    """The packing of a batch whose rows have these lengths, 0 included."""
    given: list[int] = lengths.tolist()
    order = sorted(range(len(given)), key=given.__getitem__, reverse=True)
    longest_first = [given[row] for row in order]
    running, count = [], len(given)
    for step in range(longest_first[0]):
        while longest_first[count - 1] <= step:
            count -= 1
        running.append(count)
    found = Packing(running, len(given), order)
    found.lengths = longest_first
    return found


def pack(x: Shaped[Tensor, "B T *rest"], packing: Packing) -> Shaped[Tensor, "N *rest"]:
    """The steps of all rows, packed; what stands behind a row's end is not read, and its gradient is 0."""
    column, row, step = in_one_column(x)
    return pick(column, _places(packing, row, step))


def unpack(series: Float[Tensor, "N *rest"], packing: Packing, steps: int) -> Float[Tensor, "B {steps} *rest"]:
    """The rows as a batch again, with zeros behind their ends; in memory time comes first, as in any loop's outputs."""
    places, rows = _places(packing, 1, packing.batch), packing.batch * steps
    if is_forward():
        column = series.new_zeros(rows, *series.shape[1:]).index_copy(0, places, series)
    else:
        column = _Spread.apply(series, places, rows)
    return column.unflatten(0, (steps, packing.batch)).transpose(0, 1)


def in_one_column(x: Shaped[Tensor, "B T *rest"]) -> tuple[Shaped[Tensor, "M *rest"], int, int]:
    """All steps of all rows below each other, in the order in which they stand in memory, and how many places there it
    is to the next row, and to the next step."""
    if not x.is_contiguous() and x.transpose(0, 1).is_contiguous():
        return x.transpose(0, 1).flatten(0, 1), 1, x.shape[0]
    return x.flatten(0, 1), x.shape[1], 1


def _places(packing: Packing, row: int, step: int) -> Int[Tensor, " N"]:
    """Of each packed step in such a column."""
    return packing.rows_in_order * row + packing.steps_and_rows[0] * step


def pick(x: Shaped[Tensor, "M *rest"], places: Int[Tensor, " N"] | None) -> Shaped[Tensor, "N *rest"]:
    """The rows at places of which none comes twice; all of them where there are none given."""
    if places is None:
        return x
    wanted = torch.is_grad_enabled() and x.requires_grad
    if not wanted or torch.compiler.is_compiling() or _is_transformed():
        return x.index_select(0, places)
    return _Pick.apply(x, places)


def _is_transformed() -> bool:
    return torch._C._functorch.peek_interpreter_stack() is not None or is_forward()


class _Pick(torch.autograd.Function):
    """Rows by their places. Torch's own gradient of this adds row by row, as if places came twice."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.rows = len(x)
        return x.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return _Spread.apply(gradient, places, ctx.rows), None


class _Spread(torch.autograd.Function):
    """Rows put to their places, none of which comes twice, among zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor, rows: int) -> Tensor:
        ctx.save_for_backward(places)
        return x.new_zeros(rows, *x.shape[1:]).index_copy_(0, places, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return _Pick.apply(gradient, places), None, None
