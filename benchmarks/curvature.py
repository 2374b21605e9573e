"""What products with curvature cost, in gradients of the same loss.

    python benchmarks/curvature.py [--json benchmarks/results/curvature.json] [--threads 1]

A recurrent layer on 8 features and a linear readout of 3 numbers at every step, squared errors, float32. The gradient
is a forward and a backward pass. A product with the Gauss-Newton matrix is one as an update of `HessianFree` takes it,
the forward pass being kept: a pass with tangents and a backward. A product with the Hessian is the gradient of the
gradient times a vector, from the beginning. All are taken in turns in one process; a ratio is the median of those of
neighbours, with its quartiles.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra.bench.machine import describe_machine
from recurra.bench.timing import alternate, spread
from recurra.cells import CELLS
from recurra.files import write_text
from recurra.layers import Recurrent
from recurra.training.second_order.curvature import GaussNewton
from recurra.training.second_order.passes import Pass
from recurra.training.second_order.vectors import flat

SHAPES = [("lstm", 100, 32, 128), ("lstm", 400, 20, 100), ("gru", 100, 32, 128), ("elman", 100, 64, 100)]


class Network(nn.Module):
    def __init__(self, cell: str, units: int) -> None:
        super().__init__()
        self.layer = Recurrent(CELLS[cell](8, units))
        self.output = nn.Linear(units, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.layer(x)[0])


def calls(cell: str, steps: int, batch: int, units: int) -> dict[str, Callable[[], Any]]:
    """What is timed."""
    torch.manual_seed(0)
    model, x, y = Network(cell, units), torch.randn(batch, steps, 8), torch.randn(batch, steps, 3)
    parameters = list(model.parameters())

    def objective(batch: Any) -> Any:
        return model(x), lambda outputs: (outputs - y).square().mean()

    def gradient() -> Any:
        outputs, loss = objective(None)
        return torch.autograd.grad(loss(outputs), parameters)

    def hessian() -> Any:
        outputs, loss = objective(None)
        found = torch.autograd.grad(loss(outputs), parameters, create_graph=True)
        return torch.autograd.grad(flat(found), parameters, v)

    taken = Pass(model, objective, None)
    kept = GaussNewton(taken, taken.first(), parameters)
    v = torch.randn_like(kept.gradient)
    return {"gradient": gradient, "Gauss-Newton": lambda: kept.product(v), "Hessian": hessian}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "curvature.json")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    for cell, steps, batch, units in SHAPES:
        samples = alternate(calls(cell, steps, batch, units), rounds=15)
        ratios = {
            name: spread([one / other for one, other in zip(samples[name], samples["gradient"], strict=True)]).to_json()
            for name in ("Gauss-Newton", "Hessian")
        }
        milliseconds = spread([1e3 * each for each in samples["gradient"]]).to_json()
        rows.append(
            {"cell": cell, "steps": steps, "batch": batch, "units": units, "gradient_ms": milliseconds, **ratios}
        )
        print(rows[-1], flush=True)
    document = {
        "command": " ".join(["python", *sys.argv]),
        "machine": describe_machine(),
        "threads": given.threads,
        "rows": rows,
    }
    write_text(given.json, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
