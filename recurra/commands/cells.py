"""The cell that a verb is told: by its name in the library, or a class in a file of the user's own."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra.cells import CELLS
from recurra.errors import BadInput, unknown
from recurra.layers.recurrent import Recurrent
from recurra.recurrence.explain import Explanation


def load_cell(where: str) -> Callable[..., nn.Module]:
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


def explain_cell(name: str, build: Callable[..., nn.Module], input_size: int, hidden_size: int) -> Explanation:
    """How a layer of such a cell runs.

    Raises:
        BadInput: the cell cannot be built from two sizes, or does not take a step.
    """
    try:
        layer = Recurrent(build(input_size, hidden_size))
        x = torch.zeros(2, 2, input_size)
        with torch.no_grad():
            layer(x)
    except Exception as error:  # a user's cell may raise anything
        raise BadInput(f"cell {name!r} of {input_size} inputs and {hidden_size} units: {error}") from error
    return layer.explain(x)


def _is_cell(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, nn.Module)


def _import(path: Path) -> Any:
    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(f"recurra_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path}: not a Python file; give it the ending .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's file may raise anything
        raise BadInput(f"{path}: cannot be imported: {type(error).__name__}: {error}") from error
    return module
