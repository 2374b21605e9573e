"""Small windows on series, and a small network to read them."""

import torch

from recurra.cells import GRU, LSTM
from recurra.layers import Recurrent, Stack
from recurra.models.forecasting.windows import Windows

ROWS, CONTEXT, HORIZON, KNOWN = 4, 9, 5, 2
GAPS = [(0, 4), (0, 5), (2, 6), (3, 8), (1, 11)]
BEGINS = [0, 2, 0, 5]


def windows(past=0, gaps=(), begins=(0,) * ROWS, positive=False, dtype=torch.float64):
    draw = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype)

    steps = CONTEXT + HORIZON
    target, observed = normal(ROWS, steps), torch.ones(ROWS, steps, dtype=torch.bool)
    if positive:
        target = target.abs().mul(6).round() / 3
    for row, step in gaps:
        observed[row, step] = False
    for row, begin in enumerate(begins):
        observed[row, :begin] = False
    return Windows(
        target.masked_fill(~observed, 0.0),
        observed,
        normal(ROWS, steps, KNOWN),
        normal(ROWS, CONTEXT, past),
        normal(ROWS, 1),
        torch.tensor([1, 0, 3, 2]),
        torch.zeros(ROWS, dtype=dtype),
        torch.full((ROWS,), 3.0, dtype=dtype),
    )


def without_horizon(given):
    return given._replace(target=given.target[:, :CONTEXT], observed=given.observed[:, :CONTEXT])


def row_from(given, row, begin):
    """A row by itself from a step of its context on."""
    part = Windows(*(each[row : row + 1] for each in given))
    return part._replace(
        target=part.target[:, begin:],
        observed=part.observed[:, begin:],
        known=part.known[:, begin:],
        past=part.past[:, begin:],
    )


def layers(inputs, hidden=6):
    return Stack(Recurrent(LSTM(inputs, hidden)), Recurrent(GRU(hidden, hidden)))


def shaken(model):
    """With no weight at zero, so that everything that is read matters."""
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=draw))
    return model.double().eval()
