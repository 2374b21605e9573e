"""`data list` and `data get`: the catalogue of public data sets."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from recurra.data.catalogue import DataSet

app = App(name="data", help="Public data sets: what there is, and getting one.")

COLUMNS = ("name", "task", "size", "licence", "address", "here")


@app.command(name="list")
def list_datasets(
    *,
    json: Annotated[bool, Parameter(negative="", help="Print everything the catalogue knows, as JSON.")] = False,
) -> None:
    """List the public data sets: task, size, licence, and where each is on this machine."""
    from recurra.data.catalogue import DATASETS

    if json:
        _print_json(DATASETS)
    elif sys.stdout.isatty():
        _print_table(DATASETS)
    else:
        for row in (COLUMNS, *map(_row, DATASETS)):
            print(*row, sep="\t")


@app.command(name="get")
def get(name: Annotated[str, Parameter(help="A name that `recurra data list` shows.")], /) -> None:
    """Print the paths of a data set's files, one a line, downloading what is not on this machine.

    Looks in the folder $RECURRA_DATA first, then in the cache ($RECURRA_CACHE). Files are verified by their sha256.
    """
    from recurra.data.catalogue import locate

    for path in locate(name).values():
        print(path)


def _row(dataset: "DataSet") -> tuple[str, ...]:
    """What the listing says of a set, in the order of ``COLUMNS``."""
    from rich.filesize import decimal

    days = [file.verified for file in dataset.files]
    address = "address not yet verified" if None in days else f"verified {min(day for day in days if day)}"
    return dataset.name, dataset.task, decimal(dataset.size), dataset.licence, address, _here(dataset)


def _here(dataset: "DataSet") -> str:
    from recurra.data.catalogue import held

    paths = held(dataset).values()
    folders = ", ".join(sorted({str(path.parent) for path in paths}))
    if len(paths) == len(dataset.files):
        return folders
    return f"{len(paths)} of {len(dataset.files)} files in {folders}" if paths else "no"


def _print_json(datasets: "tuple[DataSet, ...]") -> None:
    from json import dumps

    from recurra.data.catalogue import held

    rows = [{**asdict(dataset), "size": dataset.size, "here": held(dataset)} for dataset in datasets]
    print(dumps(rows, default=str, ensure_ascii=False, indent=1))


def _print_table(datasets: "tuple[DataSet, ...]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for dataset in datasets:
        table.add_row(*map(Text, _row(dataset)))
    Console().print(table)
