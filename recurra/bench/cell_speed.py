"""How much of a fused LSTM's speed any other cell reaches, of the library or of one's own."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from recurra.bench.contenders import OURS, build
from recurra.bench.entry import Entry
from recurra.bench.problem import Problem, largest_difference, make_problem, tolerance
from recurra.bench.shapes import Shape, flops
from recurra.bench.timing import alternate, spread
from recurra.cells import CELLS
from recurra.errors import BadInput

Build = Callable[[int, int], nn.Module]

LSTMS = {"recurra": "share_of_recurra_lstm", "torch.nn": "share_of_torch_lstm"}


def measure_cells(
    cells: Mapping[str, Build], shape: Shape, mode: str, pairs: int, *, beside: tuple[str, ...] = ()
) -> dict[str, Any]:
    """FLOP/s of each cell as a share of the LSTM's, Recurra's and torch's, all in turns with one another.

    Operations are those of the matrix parameters, so that the share compares what the products reach; a cell without
    any between its units cannot be compared in this way and has a share of little meaning.

    Args:
        beside: contenders to time for each cell beside Recurra's layer.

    Raises:
        BadInput: a cell that cannot be built or called, or whose fused results are not those of its own loop.
    """
    problems = {name: make_problem(Entry(name, shape, mode), cell) for name, cell in cells.items()}
    contenders = {name: build(problem, (OURS, *beside)) for name, problem in problems.items()}
    for name, problem in problems.items():
        _check(problem, contenders[name])
    lstm = make_problem(Entry("lstm", shape, mode), CELLS["lstm"])
    calls = {("", name): contender.call for name, contender in build(lstm, LSTMS).items()}
    calls |= {(cell, name): each.call for cell, found in contenders.items() for name, each in found.items()}
    labels = {" ".join(key): key for key in calls}
    samples = alternate({label: calls[key] for label, key in labels.items()}, pairs)
    seconds = {key: samples[label] for label, key in labels.items()}
    return {
        "shape": str(shape),
        "mode": mode,
        "lstm": {name: spread(seconds["", name]).to_json() for name in LSTMS},
        "cells": {
            cell: {
                "flops": flops(problem.cell, shape, mode),
                **{name: spread(seconds[cell, name]).to_json() for name in contenders[cell]},
                **_shares(problem, lstm, seconds),
            }
            for cell, problem in problems.items()
        },
    }


def _check(problem: Problem, contenders: dict[str, Any]) -> None:
    try:
        results = {name: each.read(each.call()) for name, each in contenders.items()}
    except Exception as error:  # a cell that breaks in its second step, or in its gradient
        raise BadInput(f"cell {problem.entry.cell!r}: {error}") from error
    for name, result in results.items():
        share = largest_difference(result, results[OURS])
        if not share <= tolerance(problem.entry, ours=True):
            raise BadInput(f"cell {problem.entry.cell!r}: {name} and {OURS} differ by {share:.1e} of the largest value")


def _shares(problem: Problem, lstm: Problem, seconds: dict[tuple[str, str], list[float]]) -> dict[str, Any]:
    work = flops(problem.cell, *problem.entry[1:3]) / flops(lstm.cell, *lstm.entry[1:3])
    own = seconds[problem.entry.cell, OURS]
    return {
        key: spread([work * theirs / ours for theirs, ours in zip(seconds["", name], own, strict=True)]).to_json()
        for name, key in LSTMS.items()
    }
