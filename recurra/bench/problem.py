"""What every contender is given, and what a contender is: something to call, and how to read its results."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.bench.entry import Entry
from recurra.cells import PeepholeLSTM
from recurra.cells.torch_weights import TORCH_ORDER
from recurra.errors import BadInput
from recurra.recurrence import reference
from recurra.recurrence.state import State, map_state

GATES: dict[type[nn.Module], str] = {**TORCH_ORDER, PeepholeLSTM: "ifgo"}
"""The gates of a cell in the order in which other libraries stack them."""


Results = dict[str, Tensor]
"""``outputs (B, T, H)``; or in training the gradients ``x``, ``W_x``, ``W_h``, ``b`` …, gates stacked as torch does; of
several layers or directions, by torch's names."""


@dataclass(frozen=True)
class Problem:
    """One recurrence, a batch of inputs, states that are not zero, and the loss's gradient for the outputs.

    There is a cell and a state for each layer and direction, in the order of torch.nn.
    """

    entry: Entry
    cells: nn.ModuleList
    x: Float[Tensor, "B T I"]
    states: tuple[State, ...]
    gradient: Float[Tensor, "B T O"]

    @property
    def cell(self) -> nn.Module:
        """The first cell, which is the only one unless the way is ``stacked``."""
        return self.cells[0]

    @property
    def state(self) -> State:
        """The state of the first cell."""
        return self.states[0]


@dataclass(frozen=True)
class Contender:
    """One way to compute a problem.

    Attributes:
        call: does it once and returns whatever it returns; this is what is timed.
        read: the results of a call in the common form, not timed.
        note: what a reader of the figures should know.
        compile_seconds: what it took to be ready, where that is worth telling.
    """

    call: Callable[[], Any]
    read: Callable[[Any], Results]
    note: str = ""
    compile_seconds: float | None = None


def tolerance(entry: Entry, *, ours: bool) -> float:
    """Largest difference from the judge's results, as a share of the largest value.

    In float32 far above its rounding and far below what a gate in the wrong place makes. In bfloat16 Recurra, which
    rounds factors alone, was seen to differ from float32 by 0.002 to 0.009. Peers that also sum in bfloat16 drift with
    the number of steps (torch.nn's gradients by up to 0.11 in 1,000 and 0.18 in 4,000): they are told, and refused only
    where they are no longer of the right size.
    """
    if entry.way.precision == "bfloat16":
        return 0.03 if ours else 0.5
    return 1e-3 if entry.training else 1e-4


def make_problem(entry: Entry, build: Callable[[int, int], nn.Module]) -> Problem:
    """The same numbers for the same sizes: weights as the cell draws them, inputs normal, states within ±0.5.

    Raises:
        BadInput: the cell cannot be built from two sizes, or does not take such a step.
    """
    shape, directions = entry.shape, 2 if entry.way.bidirectional else 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.randn(shape.B, shape.T, shape.H)
        try:
            cells = entry.cells(build)
            starts = [reference.initial_state(cell, shape.B) for cell in cells]
            states = tuple(map_state(lambda leaf: torch.rand_like(leaf) - 0.5, start) for start in starts)
            with torch.no_grad():
                output = reference.take_step(cells[0], x[:, 0], states[0]).output
        except Exception as error:  # a user's cell may raise anything
            raise BadInput(f"cell {entry.cell!r} of {shape.H} inputs and {shape.H} units: {error}") from error
        gradient = torch.randn(shape.B, shape.T, output.shape[-1] * directions)
    return Problem(entry, cells, x, states, gradient)


def stack_gates(cell: nn.Module, weights: Results) -> Results:
    """Values by the names of the cell's parameters, gate by gate, stacked as other libraries hold them."""
    gates = GATES.get(type(cell))
    if gates is None:
        return weights
    kinds = {name.partition(".")[2] for name in weights if "." in name}
    return {
        kind: torch.cat([weights[f"{gate}.{kind}"] for gate in gates if f"{gate}.{kind}" in weights]) for kind in kinds
    }


def largest_difference(results: Results, expected: Results) -> float:
    """Of the results that both have, the largest difference as a share of the expected results' largest value."""
    shares = [
        float((results[name] - value).abs().max() / value.abs().max().clamp_min(1e-30))
        for name, value in expected.items()
        if name in results
    ]
    return max(shares)
