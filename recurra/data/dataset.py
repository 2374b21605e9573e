"""What a public data set is: its files as published, and as packed, with the hashes of both."""

from dataclasses import dataclass
from datetime import date
from typing import Literal, cast

Role = Literal[
    "train", "dev", "test", "data", "train-labels", "test-labels",
    "train.en", "train.de", "dev.en", "dev.de", "test.en", "test.de",
]  # fmt: skip


GITHUB = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class DataFile:
    """One file of a set, in its two forms: as published, and as packed in the folder ``$RECURRA_DATA``.

    Args:
        role: its part in the standard split; ``data`` where the set has no split. Labels in a file of their own belong
            to the file of their part, beside which they lie. A translated part has a file for each language.
        address: its public address.
        sha256: of the bytes at ``address``.
        size: of the file at ``address``, in bytes.
        packed: path of the packed copy, relative to ``$RECURRA_DATA``; of a file within a zip file ``x.zip!name``.
        packed_sha256: of the packed copy's bytes, or of the zip file's.
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
        licence: as its source states it.
        unit: what a language model reads it as, unless told otherwise; None for other tasks.
        encoding: of its text.
    """

    name: str
    summary: str
    task: str
    licence: str
    files: tuple[DataFile, ...]
    unit: str | None = None
    encoding: str = "utf-8"

    @property
    def size(self) -> int:
        """Bytes to download for the whole set."""
        return sum(file.size for file in self.files)


def files(address: str, table: str) -> tuple[DataFile, ...]:
    """Files below one address, two lines each: role, name there, bytes and sha256; the packed path and its sha256."""
    words = iter(table.split())
    return tuple(
        DataFile(cast(Role, role), f"{address}/{name}", sha256, int(size), packed, packed_sha256, verified=None)
        for role, name, size, sha256, packed, packed_sha256 in zip(*[words] * 6, strict=True)
    )
