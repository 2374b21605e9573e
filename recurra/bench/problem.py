"""What every contender is given, and what a contender is: something to call, and how to read its results."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recurra.bench.shapes import Shape
from recurra.cells import PeepholeLSTM
from recurra.cells.torch_weights import TORCH_ORDER
from recurra.errors import BadInput
from recurra.recurrence import reference
from recurra.recurrence.state import State, map_state

GATES: dict[type[nn.Module], str] = {**TORCH_ORDER, PeepholeLSTM: "ifgo"}
"""The gates of a cell in the order in which other libraries stack them."""

TOLERANCE = {"inference": 1e-4, "training": 1e-3, "streaming": 1e-4, "streaming-paused": 1e-4}
"""Largest difference between two contenders, as a share of the largest value: far above rounding in float32, far below
what a gate in the wrong place makes."""

Results = dict[str, Tensor]
"""``outputs (B, T, H)``; or in training the gradients ``x``, ``W_x``, ``W_h``, ``b`` …, gates stacked as torch does."""


@dataclass(frozen=True)
class Problem:
    """One recurrence, a batch of inputs, a state that is not zero, and the loss's gradient for the outputs."""

    name: str
    cell: nn.Module
    shape: Shape
    mode: str
    x: Float[Tensor, "B T I"]
    state: State
    gradient: Float[Tensor, "B T O"]

    @property
    def training(self) -> bool:
        """Whether gradients are wanted: for the inputs and for every parameter."""
        return self.mode == "training"


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


def make_problem(name: str, build: Callable[[int, int], nn.Module], shape: Shape, mode: str) -> Problem:
    """The same numbers for the same sizes: weights as the cell draws them, inputs normal, states within ±0.5.

    Raises:
        BadInput: the cell cannot be built from two sizes, or does not take such a step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.randn(shape.B, shape.T, shape.H)
        try:
            cell = build(shape.H, shape.H)
            start = reference.initial_state(cell, shape.B)
            state = map_state(lambda leaf: torch.rand_like(leaf) - 0.5, start)
            with torch.no_grad():
                output = reference.take_step(cell, x[:, 0], state).output
        except Exception as error:  # a user's cell may raise anything
            raise BadInput(f"cell {name!r} of {shape.H} inputs and {shape.H} units: {error}") from error
        gradient = torch.randn(shape.B, shape.T, output.shape[-1])
    return Problem(name, cell, shape, mode, x, state, gradient)


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
