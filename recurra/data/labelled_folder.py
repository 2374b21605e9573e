"""A folder with one folder for each class, one file for each case."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recurra.data.case import NO_FIELDS, Case, CaseColumns, text_case
from recurra.data.images import read_image
from recurra.data.lines import open_text
from recurra.data.series import read_series
from recurra.errors import BadInput

IMAGES = (".png", ".jpg", ".jpeg", ".bmp")


def read_folder(path: Path, columns: CaseColumns, *, labelled: bool) -> Iterator[Case]:
    """The files of a folder, class by class, each folder and its files by name: texts (``.txt``), series (``.csv``, one
    step a line, without a header), images (``.png``, ``.jpg``, ``.bmp``). Hidden files are passed over, and so are
    files beside the folders of classes. A folder without others in it holds cases of no label.

    Raises:
        BadInput: no folders of classes where labels are needed, one without files, or a file that cannot be read.
    """
    classes = [entry for entry in _visible(path) if entry.is_dir()]
    if labelled and not classes:
        raise BadInput(f"{path}: holds no folders; make one for each class, called as the class, with its files")
    for folder in classes or [path]:
        files = [file for file in _visible(folder) if not file.is_dir()]
        if not files:
            raise BadInput(f"{folder}: no files in this folder; put some there or remove it")
        for file in files:
            yield read_file(file, (folder.name,) if classes else (), columns)


def read_file(path: Path, labels: tuple[str, ...], columns: CaseColumns) -> Case:
    """The one case of a file, of the kind that its name says.

    Raises:
        BadInput: a name that says nothing, or a file that cannot be read.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    x: str | np.ndarray
    if suffix in IMAGES:
        x = read_image(path, columns.pixels)
    elif suffix == ".csv":
        x = read_series(path, columns.encoding)
    elif suffix == ".txt":
        with open_text(path, columns.encoding) as file:
            return text_case(file.read(), labels, str(path), NO_FIELDS, needs_label=False)
    else:
        known = ", ".join([".txt", ".csv", *IMAGES])
        raise BadInput(f"{path}: no case of a class ({known} are read); remove it, or give it the name of its kind")
    return Case(x, labels, str(path), NO_FIELDS)


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
