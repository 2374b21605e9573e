"""``recurra explain CELL`` and ``recurra explain RUN``."""

from json import dumps
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number


def explain(
    cell: Annotated[
        str, Parameter(help="A cell of the library, one of your own as PATH.py:CLASS, or the folder of a run.")
    ],
    /,
    *,
    input_size: Annotated[int, Parameter(help="Features of a step's input.", validator=Number(gte=1))] = 128,
    hidden_size: Annotated[int, Parameter(help="Units.", validator=Number(gte=1))] = 128,
    program: Annotated[
        bool, Parameter(negative="", help="Also the programs of the step and of its adjoint, as text.")
    ] = False,
    json: Annotated[bool, Parameter(negative="", help="Print JSON.")] = False,
) -> None:
    """Say how a cell runs: as one compiled loop and of which stages, or step by step, and what stopped the compiler.

    Of a run: how every layer of its network does, and what is computed around them.
    """
    if Path(cell).is_dir():
        _explain_run(Path(cell), json=json)
        return
    from recurra.commands.cells import explain_cell, load_cell

    found = explain_cell(cell.rpartition(":")[2], load_cell(cell), input_size, hidden_size)
    programs = {"program": found.program, "adjoint": found.adjoint} if program else {}
    texts = {name: each.text for name, each in programs.items() if each is not None}
    if json:
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        print(dumps({"cell": cell, **sizes, "path": found.path, "reason": found.reason, "text": found.text} | texts))
        return
    print(found.text)
    for name, text in texts.items():
        print(f"\n{name}\n{text}")


def _explain_run(path: Path, *, json: bool) -> None:
    from recurra.tasks.explanation import explain_run
    from recurra.tasks.run import load

    parts = explain_run(load(path))
    if json:
        print(dumps({"run": str(path), "parts": [{"name": name, "text": text} for name, text in parts]}))
        return
    print("\n\n".join(f"{name}\n{text}" for name, text in parts))
