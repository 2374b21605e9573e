"""Images and labels in the IDX files of MNIST: http://yann.lecun.com/exdb/mnist."""

import struct
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np

from recurra.data.case import NO_FIELDS, Case
from recurra.data.images import Pixels, image_steps
from recurra.data.text import decompressed
from recurra.errors import BadInput

IMAGES, LABELS = 0x0803, 0x0801
"""What files of unsigned bytes begin with: three axes (2051), and one (2049)."""


class _Bytes(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_idx(path: Path, pixels: Pixels, *, labelled: bool) -> Iterator[Case]:
    """The images of a file such as ``train-images-idx3-ubyte``, gzip or not, with the labels of the file beside it that
    is called the same with ``labels-idx1``.

    Raises:
        BadInput: another magic number, more or fewer bytes than the header says, no labels or another number of them.
    """
    beside = labels_beside(path)
    if labelled and beside is None:
        raise BadInput(f"{path}: no labels beside it; put {_labels_name(path)} into the folder")
    with decompressed(path) as file, decompressed(beside) if beside else nullcontext() as labels:
        count, height, width = _sizes(file, path, IMAGES)
        if beside and labels and (named := _sizes(labels, beside, LABELS)[0]) != count:
            raise BadInput(
                f"{path}: {count:,} images, {beside.name} has {named:,} labels; give files that belong together"
            )
        for number in range(1, count + 1):
            place = f"{path}: image {number}"
            grey = np.frombuffer(_read(file, height * width, place), np.uint8).reshape(height, width)
            label = (str(_read(labels, 1, f"{beside}: label {number}")[0]),) if labels else ()
            yield Case(image_steps(grey, pixels), label, place, NO_FIELDS)
        for rest, whose in ((file, path), (labels, beside)):
            if rest and rest.read(1):
                raise BadInput(f"{whose}: goes on behind the {count:,} that its header says; download it again")


def _sizes(file: _Bytes, path: Path, magic: int) -> tuple[int, ...]:
    (found,) = struct.unpack(">i", _read(file, 4, f"{path}: header"))
    if found != magic:
        holds = {IMAGES: "images (IDX magic 2051)", LABELS: "labels (IDX magic 2049)"}
        raise BadInput(
            f"{path}: holds {holds.get(found, f'what begins with {found}')}, not {holds[magic]}; give another file"
        )
    axes = magic & 0xFF
    sizes: tuple[int, ...] = struct.unpack(f">{axes}i", _read(file, 4 * axes, f"{path}: header"))
    if min(sizes) < 1:
        raise BadInput(f"{path}: the header says {sizes}, sizes that no file of cases has; download it again")
    return sizes


def _read(file: _Bytes, size: int, place: str) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise BadInput(f"{place}: the file ends within it; download it again")
    return data


def _labels_name(path: Path) -> str:
    return path.name.replace("images", "labels").replace("idx3", "idx1")


def labels_beside(path: Path) -> Path | None:
    """The file of labels that belongs to one of images; None where there is none."""
    name = _labels_name(path).removesuffix(".gz")
    found = [path.with_name(name), path.with_name(f"{name}.gz")]
    return next((file for file in found if file != path and file.is_file()), None)
