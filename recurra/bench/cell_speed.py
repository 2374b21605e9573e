"""How much of a fused LSTM's speed any other cell reaches, of the library or of one's own."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from recurra.bench.contenders import OURS, build
from recurra.bench.problem import TOLERANCE, Problem, largest_difference, make_problem
from recurra.bench.shapes import Shape, flops
from recurra.bench.timing import alternate, spread
from recurra.cells import CELLS
from recurra.errors import BadInput, unknown

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
    problems = {name: make_problem(name, cell, shape, mode) for name, cell in cells.items()}
    contenders = {name: build(problem, (OURS, *beside)) for name, problem in problems.items()}
    for name, problem in problems.items():
        _check(problem, contenders[name])
    lstm = make_problem("lstm", CELLS["lstm"], shape, mode)
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


def load_cell(where: str) -> Build:
    """A cell by its name in the library, or the class that ``PATH.py:CLASS`` names.

    Raises:
        BadInput: no such cell, file or class; a file that cannot be imported; something that is no ``nn.Module``.
    """
    path, colon, name = where.rpartition(":")
    if not colon:
        if where not in CELLS:
            raise BadInput(f"{unknown('cell', where, CELLS)}; one of your own is written PATH.py:CLASS")
        return CELLS[where]
    module = _import(Path(path))
    found = getattr(module, name, None)
    if found is None:
        raise unknown(f"class in {path}:", name, [key for key, value in vars(module).items() if _is_cell(value)])
    if not _is_cell(found):
        raise BadInput(f"{where}: {name} must be a subclass of torch.nn.Module")
    try:
        inspect.signature(found).bind(1, 1)
    except TypeError as error:
        raise BadInput(f"{where}: {name}(input_size, hidden_size) must build the cell: {error}") from error
    return found


def _is_cell(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, nn.Module)


def _import(path: Path) -> Any:
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(f"recurra_bench_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path}: not a Python file; give it the ending .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's file may raise anything
        raise BadInput(f"{path}: cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _check(problem: Problem, contenders: dict[str, Any]) -> None:
    try:
        results = {name: each.read(each.call()) for name, each in contenders.items()}
    except Exception as error:  # a cell that breaks in its second step, or in its gradient
        raise BadInput(f"cell {problem.name!r}: {error}") from error
    for name, result in results.items():
        share = largest_difference(result, results[OURS])
        if not share <= TOLERANCE[problem.mode]:
            raise BadInput(f"cell {problem.name!r}: {name} and {OURS} differ by {share:.1e} of the largest value")


def _shares(problem: Problem, lstm: Problem, seconds: dict[tuple[str, str], list[float]]) -> dict[str, Any]:
    work = flops(problem.cell, problem.shape, problem.mode) / flops(lstm.cell, lstm.shape, lstm.mode)
    return {
        key: spread(
            [work * of_lstm / own for of_lstm, own in zip(seconds["", name], seconds[problem.name, OURS], strict=True)]
        ).to_json()
        for name, key in LSTMS.items()
    }
