"""A short stream, and its gradient by backpropagation through all of its steps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import CELLS
from recurra.recurrence import reference

ROWS, STEPS, INPUTS, UNITS = 2, 6, 3, 4


def make_cell(name: str) -> nn.Module:
    """A cell of the package or of torch.nn, in float64, with weights that make its state matter."""
    torch.manual_seed(3)
    cell = (CELLS[name] if name in CELLS else getattr(nn, name))(INPUTS, UNITS).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return cell


def stream(steps: int = STEPS, rows: int = ROWS) -> Tensor:
    return torch.randn(rows, steps, INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def loss(output: Tensor, step: int) -> Tensor:
    """Another at every step."""
    weights = torch.arange(output.shape[1], dtype=output.dtype) - step
    return (output * weights).sum() + (output**2).sum()


def by_bptt(cell: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The gradient of the sum of all losses, one graph from the first step to the last."""
    state, total = reference.initial_state(cell, len(x)), torch.zeros(())
    for step in range(x.shape[1]):
        output, state = reference.take_step(cell, x[:, step], state)
        total = total + loss(output, step)
    return taken(cell, total)


def online(make: Callable[[nn.Module], Any], cell: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The same by a learner, whose graphs are one step deep."""
    cell.zero_grad()
    learner = make(cell)
    for step in range(x.shape[1]):
        loss(learner(x[:, step]), step).backward()
    return gradients(cell)


def taken(cell: nn.Module, total: Tensor) -> dict[str, Tensor]:
    cell.zero_grad()
    total.backward()
    return gradients(cell)


def gradients(cell: nn.Module) -> dict[str, Tensor]:
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in cell.named_parameters()}
