"""Public data sets by their names, and where their files are."""

import os
from pathlib import Path
from zipfile import ZipFile

from recurra.data.dataset import DataFile, DataSet, Role
from recurra.data.datasets import DATASETS
from recurra.data.download import fetch, sha256_of
from recurra.errors import BadInput, unknown
from recurra.files import cache_folder, replacing


def find_dataset(name: str) -> DataSet:
    """The set of that name.

    Raises:
        BadInput: there is none; the message offers the nearest name.
    """
    for dataset in DATASETS:
        if dataset.name == name:
            return dataset
    raise unknown("data set", name, [dataset.name for dataset in DATASETS])


def held(dataset: DataSet) -> dict[Role, Path]:
    """The files of a set that are on this machine, unverified: packed in ``$RECURRA_DATA``, else in the cache."""
    paths = {file.role: _packed(file) or _cached(dataset, file) for file in dataset.files}
    return {role: path for role, path in paths.items() if path.is_file()}


def locate(name: str) -> dict[Role, Path]:
    """The verified files of a set, by role: packed in ``$RECURRA_DATA``, else in the cache, else downloaded.

    A packed copy ends in ``.gz``; a downloaded file, or one out of a packed zip file, is as published.

    Raises:
        BadInput: no such set, a packed copy whose sha256 is wrong, or a download that failed.
    """
    dataset = find_dataset(name)
    paths: dict[Role, Path] = {}
    for file in dataset.files:
        packed, member = _packed(file), file.packed.partition("!")[2]
        if packed:
            _verify(packed, file)
        if packed and not member:
            paths[file.role] = packed
        else:
            if packed and not _cached(dataset, file).is_file():
                _extract(packed, member, _cached(dataset, file))
            paths[file.role] = _cached(dataset, file)
            fetch(file.address, paths[file.role], sha256=file.sha256, size=file.size)
    return paths


def _packed(file: DataFile) -> Path | None:
    folder = os.environ.get("RECURRA_DATA")
    path = Path(folder, file.packed.partition("!")[0]) if folder else None
    return path if path and path.is_file() else None


def _extract(packed: Path, member: str, path: Path) -> None:
    """A file of a packed zip file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(packed) as archive, replacing(path) as part:
        part.write_bytes(archive.read(member))


def _cached(dataset: DataSet, file: DataFile) -> Path:
    return cache_folder() / "data" / dataset.name / file.address.rsplit("/", 1)[-1]


def _verify(packed: Path, file: DataFile) -> None:
    found = sha256_of(packed)
    if found != file.packed_sha256:
        hashes = f"its sha256 is {found[:12]}…, the catalogue's {file.packed_sha256[:12]}…"
        raise BadInput(
            f"{packed}: damaged or changed ({hashes}); copy it anew, or remove it to download {file.address}"
        )
