"""A cell's step as mathematics sees it: one vector of state to the next, as a function of parameters and input."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from recurra.errors import BadInput
from recurra.layers import Bidirectional, Recurrent, Stack
from recurra.nn.steps import WEIGHTS, GRUStep, LSTMStep, RNNStep, bind
from recurra.recurrence import reference
from recurra.recurrence.state import State, map_state, tensors


class FlatStep:
    """The step of a cell, with the tensors of its state laid side by side: S numbers a row.

    Args:
        cell: any that :class:`recurra.Recurrent` takes.
        initial_state: ``batch_size -> state`` in place of the cell's own start. It is not learnt.

    Raises:
        BadInput: what is given is a layer, reads sequences from both ends, draws masks for whole sequences, or has
            numbers in its state that are no real ones.
        TypeError: nothing says how the cell starts.
    """

    def __init__(self, cell: nn.Module, initial_state: Callable[[int], State] | None = None) -> None:
        _check_cell(cell)
        self.cell = cell
        self._following = _Following(_in_equations(cell), self)
        self._start = partial(reference.initial_state, cell) if initial_state is None else initial_state
        self._example = self._start(1)
        self.shapes = [leaf.shape[1:] for leaf in tensors(self._example)]
        self.sizes = [shape.numel() for shape in self.shapes]
        for leaf in tensors(self._example):
            if not leaf.is_floating_point():
                raise BadInput(
                    f"{type(cell).__name__}: its state holds {leaf.dtype}, which has no derivative; learn it by "
                    "truncated backpropagation through time"
                )

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """What is learnt, by name."""
        return {name: p for name, p in self._following.named_parameters() if p.requires_grad}

    def start(self, batch_size: int) -> Float[Tensor, "B S"]:
        """The state of rows before their first step."""
        return self.flatten(self._start(batch_size)).detach().clone()

    def following(self, parameters: dict[str, Tensor], x: Any, s: Float[Tensor, " S"]) -> Float[Tensor, " S"]:
        """The state after one step of a single row; for the transforms of ``torch.func``.

        Args:
            parameters: in place of the cell's own of these names.
            x: the step's input, a tensor or a nesting of them, without a batch dimension.
        """
        row = map_state(lambda leaf: leaf.unsqueeze(0), x)
        found: Tensor = functional_call(self._following, parameters, (row, s.unsqueeze(0)))
        return found.squeeze(0)

    def flatten(self, state: State) -> Float[Tensor, "B S"]:
        return torch.cat([leaf.flatten(1) for leaf in tensors(state)], dim=1)

    def unflatten(self, flat: Float[Tensor, "B S"]) -> State:
        parts = zip(flat.split(self.sizes, dim=1), self.shapes, strict=True)
        leaves = iter([part.unflatten(1, shape) if len(shape) != 1 else part for part, shape in parts])
        return map_state(lambda _: next(leaves), self._example)


class _Following(nn.Module):
    """From a flat state to the next one."""

    def __init__(self, cell: nn.Module, flat: FlatStep) -> None:
        super().__init__()
        self.cell = cell
        self._flat = flat

    def forward(self, x: Any, s: Tensor) -> Tensor:
        return self._flat.flatten(reference.take_step(self.cell, x, self._flat.unflatten(s)).state)


def _in_equations(cell: nn.Module) -> nn.Module:
    """The cells of ``torch.nn`` call one function that ``torch.func`` cannot look into: here are their equations."""
    step: nn.Module
    match cell:
        case nn.LSTMCell():
            step = LSTMStep()
        case nn.GRUCell():
            step = GRUStep()
        case nn.RNNCell():
            step = RNNStep(cell.nonlinearity)
        case _:
            return cell
    bind(step, {name: getattr(cell, name, None) for name in WEIGHTS})
    return step


def _check_cell(cell: nn.Module) -> None:
    if any(isinstance(module, Bidirectional) for module in cell.modules()):
        raise BadInput(
            "a bidirectional layer reads sequences from both ends and cannot learn from a stream; use a forward one"
        )
    if isinstance(cell, Recurrent | Stack):
        raise BadInput(f"online learning takes a cell, not a {type(cell).__name__} of them; give it layer.cell")
    if hasattr(cell, "inputs"):
        raise BadInput(
            f"{type(cell).__name__} draws masks for whole sequences, and a stream has no end; give the cell inside it"
        )
