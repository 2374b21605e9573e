"""Patterns written in the form that others were read from."""

import gzip
import os
import shutil
import struct
from pathlib import Path
from typing import IO
from zipfile import ZipFile

import numpy as np
from PIL import Image

from recurra.data.idx import IMAGES
from recurra.data.patterns import Part, Patterns, kind_of
from recurra.errors import BadInput
from recurra.files import replacing


def check_place(out: Path, like: Patterns) -> None:
    """Refuse an ``out`` that :func:`write_patterns` could not write in the form of ``like``.

    Raises:
        BadInput: a folder that exists, a file of another kind, or the folder around it is missing.
    """
    if not out.parent.is_dir():
        raise BadInput(f"{out}: there is no folder {out.parent}; make it, or choose another --out")
    if like.path.is_dir():
        if out.exists():
            raise BadInput(f"{out}: exists already; choose another --out")
        return
    wanted = like.parts[0].kind
    if kind_of(out) != wanted:
        raise BadInput(f"{out}: {like.path} is of another kind; let the name of --out end in {like.path.suffix}")


def write_patterns(out: Path, patterns: Patterns) -> None:
    """Write ``patterns`` as they were read, to a file or a new folder of files named as theirs; whole or not at all.

    Images and IDX files have 0 for -1 and 255 for 1; arrays have their own two values, key, shape and type, but
    numbers that are not binary become floating-point.
    """
    if not patterns.path.is_dir():
        _write_file(out, patterns.parts)
        return
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        part.mkdir()
        for path in dict.fromkeys(each.path for each in patterns.parts):
            _write_file(part / path.name, tuple(each for each in patterns.parts if each.path == path))
        part.rename(out)
    except OSError as error:
        raise BadInput(f"{out}: cannot make this folder ({error.strerror}); choose another --out") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_file(path: Path, parts: tuple[Part, ...]) -> None:
    first = parts[0]
    with replacing(path) as beside:
        if first.kind == "image":
            kind = Image.registered_extensions()[path.suffix.lower()]
            Image.fromarray(_bytes(first)[0]).save(beside, format=kind)
        elif first.kind == "text":
            beside.write_text(_art(first), encoding="utf-8")
        elif first.kind == "idx":
            header = struct.pack(">iiii", IMAGES, len(first.values), *first.shape)
            data = header + _bytes(first).tobytes()
            beside.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
        else:
            with beside.open("wb") as file:  # given a name, NumPy would add its own ending
                if first.kind == "npy":
                    np.save(file, _array(first))
                else:
                    _write_arrays(file, {part.key: _array(part) for part in parts})


def _write_arrays(file: IO[bytes], arrays: dict[str, np.ndarray]) -> None:
    # as numpy.savez does, which takes keys for its own arguments ("file")
    with ZipFile(file, "w") as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _bytes(part: Part) -> np.ndarray:
    """(P, H, W)."""
    grey = (part.values.clip(-1, 1) + 1) / 2 * 255
    return grey.round().astype(np.uint8).reshape(-1, *part.shape)


def _art(part: Part) -> str:
    drawn = part.values.reshape(-1, *part.shape)
    blocks = ("\n".join("".join("#" if unit > 0 else "." for unit in line) for line in block) for block in drawn)
    return "\n\n".join(blocks) + "\n"


def _array(part: Part) -> np.ndarray:
    shape = part.shape if part.single else (len(part.values), *part.shape)
    if part.low is not None:
        return np.where(part.values > 0, 1, part.low).astype(part.dtype).reshape(shape)
    return part.values.astype(part.dtype if part.dtype.kind == "f" else part.values.dtype).reshape(shape)
