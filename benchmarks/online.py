"""Bias and variance of gradients that are carried forward, beside the gradient of backpropagation through time.

    python benchmarks/online.py [--json benchmarks/results/online.json]

Networks of 16 units with a linear readout read 8 features of noise and predict a slow sum of it; weights as they start,
one row, float64, the loss of all steps. The gradient with respect to the cell is compared with that of BPTT through the
whole sequence: of SnAp-1, of truncated BPTT in windows of 8 steps and of 1, and of UORO over 100 draws of its signs.
Bias and standard deviation are 2-norms over all parameters, as shares of the exact gradient's. UORO's cosine is the
mean of single draws'; the mean of its 100 draws is off by a tenth of the deviation, which is what its bias shows.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from recurra.cells import GRU, LSTM, Elman, MinGRU
from recurra.files import write_text
from recurra.recurrence import reference
from recurra.recurrence.state import detach
from recurra.training import Learner, rtrl, snap1, uoro

FEATURES, UNITS, DRAWS = 8, 16, 100
LENGTHS = (10, 30, 100, 300)
CELLS = (Elman, LSTM, GRU, MinGRU)


def sequence(steps: int) -> tuple[Tensor, Tensor]:
    """Inputs (T, features) and targets (T,)."""
    x = torch.randn(steps, FEATURES, generator=torch.Generator().manual_seed(1))
    target, held = [], torch.zeros(())
    for now in x:
        held = 0.95 * held + 0.05 * now.sum()
        target.append(held)
    return x, torch.stack(target)


def by_windows(cell: nn.Module, readout: nn.Module, x: Tensor, target: Tensor, window: int) -> Tensor:
    """The gradient of backpropagation that goes back to the beginning of a window; of all, where it is the whole."""
    cell.zero_grad()
    state = reference.initial_state(cell, 1)
    for begin in range(0, len(x), window):
        total, state = torch.zeros(()), detach(state)
        for now in range(begin, min(begin + window, len(x))):
            output, state = reference.take_step(cell, x[now : now + 1], state)
            total = total + (readout(output).squeeze() - target[now]) ** 2
        total.backward()
    return gradient(cell)


def online(make: Callable[[nn.Module], Learner], cell: nn.Module, readout: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of a learner."""
    cell.zero_grad()
    learner = make(cell)
    for now, target in zip(x.split(1), y, strict=True):
        ((readout(learner(now)).squeeze() - target) ** 2).backward()
    return gradient(cell)


def draws(cell: nn.Module, readout: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """UORO's gradients, one a row: rows of a batch draw their own signs; the loss of one has that row's gradient."""
    learner = uoro(cell)
    found = [torch.zeros(0)] * DRAWS
    totals = torch.zeros(DRAWS, sum(parameter.numel() for parameter in cell.parameters()))
    for now, target in zip(x, y, strict=True):
        losses = (readout(learner(now.expand(DRAWS, -1))).squeeze(1) - target) ** 2
        for row in range(DRAWS):
            found[row] = torch.cat(
                [g.flatten() for g in torch.autograd.grad(losses[row], list(cell.parameters()), retain_graph=True)]
            )
        totals += torch.stack(found)
    return totals


def gradient(cell: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in cell.parameters() if p.grad is not None]).clone()


def compared(found: Tensor, exact: Tensor) -> dict[str, float]:
    """Of gradients, one a row."""
    scale = exact.norm()
    return {
        "cosine": round(cosine_similarity(found, exact[None]).mean().item(), 4),
        "bias": round(((found.mean(0) - exact).norm() / scale).item(), 4),
        "deviation": round((found.var(0).sum().sqrt() / scale).item(), 3) if len(found) > 1 else 0.0,
    }


def measured(kind: Any, steps: int) -> dict[str, Any]:
    """One cell and length."""
    torch.manual_seed(0)
    cell, readout = kind(FEATURES, UNITS), nn.Linear(UNITS, 1)
    x, y = sequence(steps)
    exact = by_windows(cell, readout, x, y, steps)
    difference = (online(rtrl, cell, readout, x, y) - exact).abs().max() / exact.abs().max()
    found = {
        "snap1": online(snap1, cell, readout, x, y)[None],
        "truncated, 8 steps": by_windows(cell, readout, x, y, 8)[None],
        "truncated, 1 step": by_windows(cell, readout, x, y, 1)[None],
        "uoro": draws(cell, readout, x, y),
    }
    result = {name: compared(gradients, exact) for name, gradients in found.items()}
    return {"cell": kind.__name__, "steps": steps, "rtrl: largest difference": difference.item(), **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    results = []
    for kind in CELLS:
        for steps in LENGTHS:
            results.append(measured(kind, steps))
            print(json.dumps(results[-1]), flush=True)
    if options.json:
        command = " ".join(["python", "benchmarks/online.py", *sys.argv[1:]])
        write_text(options.json, json.dumps({"command": command, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
