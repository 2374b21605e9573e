"""Recurra: learning from sequences with recurrent networks.

    run = recurra.fit("language-model", "book.txt", out="runs/book", cell="lstm", hidden_size=256)
    print(run.scores, run.sample("It was"))
    run = recurra.load("runs/book")
    outputs, state = recurra.Recurrent(recurra.cells.PeepholeLSTM(64, 256))(x, lengths=lengths)

Names are imported when they are first used: ``import recurra`` alone loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recurra import cells as cells
    from recurra import nn as nn
    from recurra.errors import BadInput as BadInput
    from recurra.layers import Bidirectional as Bidirectional
    from recurra.layers import Recurrent as Recurrent
    from recurra.layers import Stack as Stack
    from recurra.nn import accelerate as accelerate
    from recurra.nn import quantize as quantize
    from recurra.recurrence.state import select as select
    from recurra.tasks.run import Run as Run
    from recurra.tasks.run import fit as fit
    from recurra.tasks.run import load as load

_HOMES = {
    "BadInput": "recurra.errors",
    "Bidirectional": "recurra.layers",
    "Recurrent": "recurra.layers",
    "Run": "recurra.tasks.run",
    "Stack": "recurra.layers",
    "accelerate": "recurra.nn",
    "fit": "recurra.tasks.run",
    "load": "recurra.tasks.run",
    "quantize": "recurra.nn",
    "select": "recurra.recurrence.state",
}

__all__ = ["cells", "nn", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in ("cells", "nn"):
        return importlib.import_module(f"recurra.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'recurra' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
