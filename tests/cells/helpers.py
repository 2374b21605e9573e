"""What the NumPy versions of the cells need: weights as arrays, the logistic function, a run over a sequence."""

import numpy as np
import torch

from recurra.layers.recurrent import Recurrent


def randomised(cell):
    """The cell in float64 with every parameter drawn anew, so that none is zero by chance of its initialisation."""
    cell.to(torch.float64)
    with torch.no_grad():
        for weight in cell.parameters():
            weight.normal_(std=0.7)
    return cell


def arrays(cell):
    """Each parameter by its name."""
    return {name: weight.detach().numpy() for name, weight in cell.named_parameters()}


def sigma(z):
    return 1 / (1 + np.exp(-z))


def outputs_and_state(cell, x, state):
    """The run over ``x`` from ``state``, both NumPy arrays going in and coming out."""
    start = type(cell.initial_state(1))(*(torch.from_numpy(leaf) for leaf in state))
    outputs, last = Recurrent(cell)(torch.from_numpy(x), start)
    return outputs.detach().numpy(), [leaf.detach().numpy() for leaf in last]


def fill(cell, **values):
    """Zero everywhere but where a value is given; ``g_b=1.0`` fills ``cell.g.b``. In float64."""
    cell.to(torch.float64)
    with torch.no_grad():
        for name, weight in cell.named_parameters():
            weight.fill_(values.pop(name.replace(".", "_"), 0.0))
    assert not values, f"the cell has no {', '.join(values)}"
    return cell


def scalar(*values):
    """One row of one feature for each value."""
    return [torch.tensor([[value]], dtype=torch.float64) for value in values]
